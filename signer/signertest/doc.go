// Package signertest is the suite that every backend of package signer passes, and
// the person who answers its questions.
//
// A backend's test says how to make a device that holds a key, and calls [Run]:
//
//	func TestSuite(t *testing.T) {
//		signertest.Run(t, signertest.Config{
//			Setup: func(t *testing.T) signertest.Device {
//				tok := softhsm.New(t)
//				uri, pub := generate(t, tok)
//				b := pkcs11.New(pkcs11.Options{Module: tok.Module})
//				t.Cleanup(func() { b.Close() })
//				return signertest.Device{
//					Backend: b, URI: uri, Public: pub,
//					Kind: signer.PIN, Secret: tok.PIN, Wrong: "999999",
//				}
//			},
//		})
//	}
//
// Setup is called once for each subtest, so a test that enters a wrong PIN cannot
// disturb the next. It may hand out the same device again where making one is slow,
// as long as the backend is a new one: a backend remembers its login.
//
// What the suite asks, in the order of its subtests:
//
//   - signatures come in wire form, verify under the public key, and cover the
//     whole message: an empty one, and one of more than 1 MiB;
//   - many goroutines may use one signer;
//   - a key that is not the pinned one is refused before any secret is asked for;
//   - a wrong secret is tried once, and never shown in an error;
//   - without a source for the secret there is an error, not an empty secret;
//   - a context that has ended is noticed, and the signer works afterwards;
//   - Close can be called twice; a closed signer signs nothing;
//   - one question serves every key of a device;
//   - a device that has no secret (Device.Kind is "") asks for none;
//   - a missing or ambiguous key is a typed error.
//
// [UI] stands in for the person: it answers what it was told to and records what
// it was asked.
package signertest
