package main

import (
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/file"
)

// backends lists the kinds of key. A new one costs a folder below signer/, a line
// here and the suite in signer/signertest.
func (a *app) backends(files *file.Backend) (signer.Backends, error) {
	return signer.Backends{
		"file": files,
	}, nil
}
