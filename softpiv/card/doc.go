// Package card is a software YubiKey: the PIV applet of a card, command by
// command, with knobs for everything that goes wrong on a desk. It is for tests,
// CI and demonstrations; it protects nothing, its keys lie in memory or in a file.
//
// # What it answers
//
// A [Card] takes command APDUs (ISO 7816-4, short and extended, command chaining,
// GET RESPONSE) and answers like the PIV applet of a YubiKey (NIST SP 800-73-4 and
// Yubico's extensions): PIN and PUK with their counters, the management key (3DES,
// AES-128/192/256, mutual and external authentication), keys in 9a 9c 9d 9e 82-95
// with PIN and touch policies (P-256, P-384, RSA, from firmware 5.7 also Ed25519,
// X25519, RSA-3072 and RSA-4096), data objects, key metadata (from 5.3),
// attestation, serial number. Beside PIV there are just enough of the OTP and
// management applets for a client to read the serial number and the form factor.
//
// Firmware versions differ where clients notice:
//
//	4.3.7   serial only through the OTP applet, no metadata, 3DES management key,
//	        attestation certificate without basic constraints, as on real ones
//	5.4.3   serial in the PIV applet, metadata, AES management keys possible
//	5.7.1   AES-192 management key from the factory, Ed25519, X25519, RSA-3072/4096,
//	        moving and deleting keys
//
// [Config].OtherVendor makes it a PIV card that is no YubiKey: no serial number, no
// metadata, no attestation, five PIN tries, no touch. [Config].Lacks takes single
// features from a card that claims to be a YubiKey, [Config].Quirks makes it answer as
// cards in the field do; [CanoKey] and [PivApplet] are two of those.
//
// Factory secrets are those of every YubiKey: PIN 123456, PUK 12345678, management
// key 010203040506070801020304050607080102030405060708.
//
// # Attestation
//
// Every card has an attestation key (slot f9) whose certificate is signed by a test
// authority, [CA]. Hand [Card.CAPEM] to whatever verifies attestations; nothing
// chains to Yubico. Cards can share one CA (Config.CA).
//
// # Knobs
//
// All methods may be called while a command runs, from any goroutine: [Card.Remove]
// and [Card.Insert], [Card.RemoveAfter] and [Card.LoseAnswerAfter] (the card leaves
// before or after running the n-th command), [Card.ResetAfter], [Card.SetTouch],
// [Card.SetBusy], [Card.SetWrongSignatures], [Card.SetNoPIV]. [Card.Trace] shows
// what was said, with secrets as stars; [Card.Count] counts the commands.
//
// # State
//
// With Config.Dir the state is in Dir/card.json and the authority in Dir/ca.pem and
// Dir/ca-key.pem; the card survives a restart, as after pulling it out. A spent PIN
// try is on disk before the answer is given. Without Dir everything is in memory.
//
// Not modelled: biometrics, secure messaging, FIPS mode, and
// the other applets (FIDO2, OpenPGP, OATH).
package card
