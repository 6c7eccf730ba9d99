// Package piv signs with keys on PIV cards (NIST SP 800-73-4) behind PC/SC: YubiKeys,
// and other vendors' cards when they are named. It stands on go-piv/piv-go; the commands
// that piv-go has no way to send go over a connection of our own (package internal/pcsc),
// for which piv-go's is given back first: see direct.
//
// # Naming a key
//
//	piv:serial=15835999;slot=9c     a YubiKey by the number engraved on it
//	piv:reader=Canokeys;slot=9c     any card, by a part of its PC/SC reader's name
//	piv:slot=9c                     the only YubiKey plugged in
//
// Slots are 9a, 9c, 9d, 9e and the retired ones, 82 to 95. Only readers whose name
// contains "yubikey" (in any case), or that the URI names, are touched: connecting
// to a card is exclusive, and a card without the PIV applet stays connected until
// the process ends (piv-go v2.6.0, Open). Of several cards the serial number
// decides, or the public key that is expected, never the order of the readers; if
// neither does, the answer is [signer.AmbiguousError].
//
// # Signing
//
// The card is held for moments only, never while a person reads or types:
//
//  1. open; read serial number, firmware, PIN tries left and the key; close
//  2. compare with [signer.Ref.Pinned]; another key ends it here, before any PIN
//  3. ask for the PIN (once per card and backend), telling the tries left
//  4. open; read the serial number and the tries again; verify the PIN, sign, drop
//     the PIN; close
//  5. verify the signature
//
// A card that another program holds is asked again every 100 ms for
// [Options.BusyFor], then it is [signer.ErrBusy]. A card that is not there is asked
// for with [signer.UI.Insert]. When the context ends, a call returns at once; PC/SC
// calls cannot be canceled, so the one under way is abandoned, the card stays locked
// for this process until it comes back, and the signer refuses further use.
//
// What is in a slot is taken from the first of: GET METADATA (firmware 5.3 and
// later), the attestation certificate, Ref.Pinned, the slot's certificate. The
// certificate comes last because it stays behind when a key is replaced. Whatever
// the source, a signature counts only if it verifies.
//
// Keys are P-256 or RSA 2048, 3072, 4096 (PSS). P-384 is refused because deployed
// agents do not verify it, Ed25519 because cards take the whole message and have
// 3,072 bytes for it, biometric PIN policies because nobody tested them.
//
// # PINs
//
// A PIN is sent once, over the connection that needs it. It is not sent if its length is outside 6 to 8 bytes, if the
// card says that it is blocked, or if one try is left and the person was not told
// so. A wrong one is remembered: further signatures with that card fail without
// asking, until there is a new backend. After a signature the card is made to forget
// that the PIN was verified (by selecting another applet), because a key with PIN
// policy "once" would otherwise sign for the next program.
//
// # Setting up, generating, attesting
//
// [Backend.Setup] takes a card from the factory to a PIN, a PUK and a random
// management key of its own; the key is stored on the card, readable with the PIN,
// in the form of piv-go and ykman (object 5FC109, AES-192, 3DES before firmware
// 5.4). See setup.go for the order and why it survives being interrupted.
// [Backend.Generate] makes a key in a slot and fetches its attestation: a
// certificate, signed by a key that Yubico put into the card, which says that the
// key was born there and under which policies. [Backend.VerifyAttestation] checks
// one without any card, in builds without PC/SC too.
//
// # Builds
//
// PC/SC needs cgo (except on Windows). Without it [New] gives a backend that answers
// [signer.UnsupportedError] to everything but VerifyAttestation.
package piv
