// Package fleethsm is the root of the module. It holds no code of its own: the tool is
// cmd/fleet-hsm, and arch_test.go here holds the import arrows of the tree.
//
//	cmd/fleet-hsm    the commands, one file each
//	repo             the TUF repository on disk: stage, sign, commit
//	verify           a client of its own that checks what is published
//	signer           what a key is; signer/file, signer/pkcs11, signer/piv are the kinds
//	store, online    where a published repository lives; the unattended timestamp
//	lint             does a file fit the platform it is published for
//	softhsm, softpiv throw-away tokens and software YubiKeys for tests and the demo
//	compat           the clients inside Fleet's agents, and fleetctl's calls, as judges
package fleethsm
