// Package softhsm makes throw-away SoftHSM2 tokens: for tests, for the demo, and for
// trying the tool without any hardware. A token lives in a folder of its own, with
// its own configuration file, and is gone when the folder is.
//
// In a test:
//
//	tok := softhsm.New(t)          // sets SOFTHSM2_CONF for this test
//	backend := pkcs11.New(pkcs11.Options{Module: tok.Module})
//	uri := tok.URI("targets")      // pkcs11:token=fleet;object=targets
//
// In a program, [Make] does the same in a folder that the caller names; the token
// stays until the folder is removed. The PINs are random unless they are given, and
// they are written to files beside the token ([Token.PINFile]), so that nothing
// needs them on a command line.
//
// SoftHSM finds its tokens through one environment variable of the process. So tests
// that use different tokens cannot run in parallel in one process; [New] holds that
// by calling Setenv, which a parallel test may not.
//
// SoftHSM keeps keys in files and never locks a PIN. It is for tests and for learning,
// not for keys that laptops trust.
package softhsm
