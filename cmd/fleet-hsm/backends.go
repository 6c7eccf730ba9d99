package main

import (
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/file"
	"github.com/fleet-hsm/fleet-hsm/signer/kms"
	"github.com/fleet-hsm/fleet-hsm/signer/piv"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
)

// kinds lists the kinds of key. A new one costs a folder below signer/, a line here and the
// suite in signer/signertest.
func kinds() signer.Kinds {
	return signer.Kinds{
		file.Kind(),
		signer.PublicPart(),
		pkcs11.Kind(),
		piv.Kind(),
		kms.Kind(),
	}
}
