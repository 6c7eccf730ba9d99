// Package signer says what a key is to this project: something named by a URI,
// that shows its public key and signs whole messages. It knows nothing of TUF,
// roles' metadata or repositories, and nothing of any particular device.
//
// # Naming keys
//
// A key is named by a URI in the manner of RFC 7512: a scheme, path attributes
// separated by ";", query attributes after "?" separated by "&", and percent
// encoding. "+" is a plus sign.
//
//	file:keys/root.json                          encrypted key file of go-tuf
//	pub:spare.pub.json                           the public part of a key that is elsewhere
//	pkcs11:token=fleet;object=targets            a key on a PKCS#11 token
//	piv:serial=15835999;slot=9c                  a key on a PIV card, such as a YubiKey
//	yubikey:serial=15835999;slot=9c              another way to write piv:
//
// "file" and "pub" take a path; the others take attributes. [Parse] is strict: an
// unknown or repeated attribute, a fragment, a stray percent sign or a secret
// (pin-value) is an error that names it. [URI.String] gives the canonical form:
// sorted, without the query, so it can be pasted into a ticket.
//
// # Signing
//
// A [Signer] takes the whole message, never a digest: Ed25519 needs it, and nobody
// can be made to sign a loose digest. The signature comes back in the form that
// stands in TUF metadata (see package wiresig): Ed25519 as 64 bytes, ECDSA as
// ASN.1 DER over SHA-256, RSA as PSS over SHA-256 with a salt of 32 bytes.
// A backend verifies every signature with the public key before it returns it.
//
// # Backends
//
// A [Backend] opens the keys of one scheme. [Backends] joins them by value; there
// is no registry to fill by side effect. What only some kinds of key can do stands
// in small optional interfaces: [Generator], [Tokener], [Finder], [KeyLister],
// [Describer], [Attester], [Prober], [Reporter],
// [SetterUp]. Every backend passes the suite in
// signertest.
//
// # Secrets
//
// A backend asks for a PIN or passphrase through [UI], late, once per token and
// command, and tries it once. It never retries a wrong one by itself and never
// turns an unreadable source into an empty secret. [Secret] prints as stars.
package signer
