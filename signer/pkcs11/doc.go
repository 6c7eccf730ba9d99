// Package pkcs11 signs with keys on PKCS#11 tokens: HSMs in a datacenter, smart cards
// through their maker's module, SoftHSM in CI.
//
// # Naming a key
//
//	pkcs11:token=fleet;object=targets
//	pkcs11:serial=0123456789;id=%01%02
//	pkcs11:token=fleet;object=targets?module-path=/usr/lib/softhsm/libsofthsm2.so
//
// The token is found by what the URI says of it (serial, token, model, manufacturer,
// slot-description and so on), the key by id and object, the label. Slot numbers
// change and are for emergencies (slot-id). No match, or more than one, is an error
// that lists what is there. Which module to load comes from module-path in the URI,
// from [Options.Module], or from module-name in the URI, looked up among p11-kit's
// *.module files; in this order. A module is native code: its file is checked (a
// regular file that others cannot write, built for this machine) before it is loaded,
// and a path never comes from a repository or a request.
//
// # Looking, logging in, signing
//
// Opening a key looks for its public half, without a PIN: in the public object, in a
// certificate with the same CKA_ID, in the private object itself, or, where the token
// shows none of them, in [signer.Ref.Pinned]. If the token shows another key than the
// pinned one, that is an error before anybody is asked for a PIN.
//
// The first signature logs in: once per token and backend, however many keys and
// roles there are. The token's flags are read first. A blocked PIN is not tried, a last
// try only if the UI has a person who says so, an empty or overlong one never. Tokens
// with their own PIN pad, tokens that want no login, and keys that want the PIN for every
// signature (CKA_ALWAYS_AUTHENTICATE) are served.
//
// A PIN that the token has never taken is offered once, whatever C_Login answers: there
// are modules that say CKR_GENERAL_ERROR of a wrong PIN, and count it. Every later
// signature gives the same error, until a source that can be read again
// ([signer.Sourced]) has another PIN. One exception: C_Login says that the session is
// gone, C_GetSessionInfo says so too, and the token's flags have not moved; then nobody
// looked at the PIN, and it is offered once more. A PIN that the token has taken may be
// offered again after a loss. CKR_USER_ALREADY_LOGGED_IN is not taken for "the PIN is
// right": a PIN that was never tried is tried after a logout.
//
// Flags are hints: where CKF_LOGIN_REQUIRED is missing, a login is made if somebody named
// a source for the PIN, and if no private key is seen or none signs without one.
//
// The token gets the SHA-256 of the message (the message itself for Ed25519, or
// where it has only a mechanism that hashes). Every signature is verified before it is
// returned.
//
// # Tokens that come and go
//
// An HSM restarts, a network drops, another process rewrites SoftHSM's files. An
// operation that fails in such a way is tried again, at most six times, on a new
// connection made by one goroutine while the others wait: first a new session and
// login with the remembered PIN, then after C_Finalize and C_Initialize. The key is
// found again by its URI and compared again. A module that shows no slot at all is
// "unreachable", which is not "no such token".
//
// C calls cannot be interrupted. Each one runs under [Options.Timeout]; one that does
// not come back is left behind with a [DeadlineError], and the module is refused until
// it does. Nothing ever finalises or unloads a module under a running call: that
// kills the process.
//
// # Errors
//
// An answer of a module is a [CKRError]: its number, its name, the function that gave
// it and what it means in plain words. It matches the causes of package signer
// (signer.ErrPINLocked and so on) under errors.Is. A module that cannot be used is a
// [ModuleError].
//
// # Without cgo
//
// The binding (github.com/miekg/pkcs11) needs cgo. A build without it has the same
// functions, and they answer *signer.UnsupportedError.
package pkcs11
