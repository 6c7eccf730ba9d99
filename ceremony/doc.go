// Package ceremony carries a staged change to the people who sign it, in one file,
// and back, and keeps the log of what they did.
//
// # The request file
//
// A request is one JSON object of at most [MaxRequest] bytes. Unknown fields, fields
// that stand twice (at any depth) and anything behind the object are refused.
//
//	fleet_hsm_request  1; it also fixes the form of the description
//	created            when the change was staged, by the staging machine's clock
//	roots              the published roots without gaps, the oldest first; [] for a
//	                   repository that is only being made
//	published_targets  the published targets.json; there if "targets" is
//	root, targets      what is to be signed, each a whole metadata file with the
//	                   signatures that it has so far; one of them may be absent
//	cold               cold roles that are to be signed with targets, by name; absent
//	                   if there is none
//	published_cold     the published files of those of them that are published
//	intents            what the staging machine says the change does; words only
//	keys               key ID -> {uri, name, attestation}: on which device the staging
//	                   machine believes the key to be, its name there, and its
//	                   certificates (PEM) if it keeps some
//	description        what root and targets change, field by field, as
//	                   [diff.New] says it; whoever reads the request computes it
//	                   again and refuses the file if the two differ
//
// Everything but created, intents and keys is checked: each root is signed by itself
// and by the one before it, published_targets by the last root, and root and targets
// are one version higher. created, intents and keys are hints and decide nothing. No
// key, passphrase, PIN or path of a program is ever in the file, so it may travel by
// mail. Signing replaces the file by one with more signatures.
//
// # What a request cannot say
//
// A request is hostile until it is checked, and its hints are hostile for ever. A key ID
// is 64 lower-case hexadecimal digits. A uri is a [locator.Locator]: it has no query, so
// it names no module and no source of a PIN, and no attribute that means something on one
// machine only; the path of a file is read as nothing. Otherwise the request is refused
// as a whole. A hint is compared with the devices that the holder's own modules and
// readers show. Nothing is loaded, opened or read because of it, and a PIN that was given
// for no device by name is not offered to the device that a hint alone names.
//
// # The transcript
//
// A transcript is a file of JSON lines, each with the SHA-256 of the line before it;
// see [Event] and [Verify].
package ceremony
