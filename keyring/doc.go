// Package keyring leads from the public keys that root names to signers: it locates them,
// opens them, has a document signed with as many as it needs, makes new ones, and keeps and
// checks the certificates that prove where one was born.
//
// # Where a key is
//
// A [Ring] looks, in this order: where the flags say, where the configuration says, in
// keys/ROLE.json, among the public keys that plugged devices show without a secret, and last
// where a request says ([Hint]). What a hint says decides nothing: it is compared with the
// devices that are here, and no PIN that was given for no token by name is offered there.
// Whatever is found under a place is compared with the key that root names before any PIN.
//
// # Signing
//
// [Ring.Sign] asks keys that need nobody first, passes over those that are not here, and if
// the rest is not enough asks the person for a device that can be inserted ([UI]). What is
// short then is a *[ShortError]; a *[AbsentError] names the device besides. Each signature is
// verified by package repo before it is kept.
//
// # One PIN, one token
//
// [Ring.CheckPINSources] refuses, before any token is logged in to, a source of a PIN that
// two tokens would be offered.
//
// # Making
//
// A [Maker] opens or makes the keys of one command and remembers which it made. A root key
// that may exist elsewhere too is refused (*[ImportedError]). [Ring.ReadPublic] reads the
// public part of a key that is elsewhere.
//
// It knows kinds of key by what they declare (signer.Kind), the repository by its public
// keys and documents, and the person by three questions; it prints nothing.
package keyring
