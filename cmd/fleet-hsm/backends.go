package main

import (
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/file"
	"github.com/fleet-hsm/fleet-hsm/signer/piv"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
)

// backends lists the kinds of key. A new one costs a folder below signer/, a line
// here and the suite in signer/signertest.
func (a *app) backends(files *file.Backend) (signer.Backends, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	module := a.module
	if module == "" {
		module = cfg.PKCS11.Module
	}
	return signer.Backends{
		"file":   files,
		"pkcs11": pkcs11.New(pkcs11.Options{Module: module}),
		"piv":    piv.New(piv.Options{}),
	}, nil
}
