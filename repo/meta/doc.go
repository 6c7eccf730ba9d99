// Package meta is the metadata of a repository as values: what root, targets, snapshot and
// timestamp say, who may sign them and whose signatures count, and what a target may be
// called. It reads no file and knows no folder; package repo does that with it.
//
//	Envelope   a file as it is signed: the signed part in canonical bytes, the signatures
//	Root       which keys and thresholds each role has
//	Targets    the entries, each kept in its canonical bytes; Row is one of them, taken apart
//	ColdRole   a role that targets.json delegates old entries to
//	Listing    a snapshot or a timestamp: which file stands below it
//	Doc        one of these while it is being signed
//
// A public key counts once, whatever key IDs it has, and a signature is kept only if it
// verifies with a key that root names ([Doc.AddSignature]). What deployed agents (go-tuf
// v0.5.2) refuse is refused when it is read ([ParseRoot], [NewKey], [CheckPath]).
//
// # Bytes
//
// Metadata is compact JSON without a trailing newline, `signed` in canonical form
// (OLPC canonical JSON), times in UTC with Z, hashes sha512, targets with
// custom.version. Key objects are written as go-tuf v0.5.2 writes them; see [NewKey].
package meta
