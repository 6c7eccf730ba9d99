// Package verify looks at a published update repository the way a client does:
// from a root that the caller trusts, through every N.root.json, to timestamp,
// snapshot, targets and, if asked, to every byte of every target. It shares no code
// with package repo, which writes repositories, so that a mistake made there is not
// made a second time here.
//
// # Two judges
//
// The first is the updater of go-tuf v2: [Run] lets it refresh over the same bytes
// and reports what it says under [CodeClient].
//
// The second is written here by hand from what Fleet's deployed agents do. They run
// go-tuf v0.5.2, which refuses things that v2 accepts: a key of keytype "ecdsa"
// anywhere in a root, a raw r||s signature, a PKCS#1 PEM block. It goes on after a
// finding as far as there is something left to look at, so that one run names
// everything that is wrong.
//
// # Findings
//
// Every [Finding] has a stable [Code], a [Severity], the file it is about and a
// sentence. An error means that some client refuses the repository, serves the
// wrong thing or soon will; a warning means that agents work today and something
// is still not as it should be; an info is worth knowing. [Report.OK] is true if
// there is no error. [Describe] explains a code.
//
// # Sources
//
// A source is a folder (the web root; a working directory that holds a folder
// "repository" does too) or an http or https URL. Metadata is read once per run and
// kept, so both judges see the same bytes. Nothing is written, and nothing is
// executed. Folders are read defensively: a FIFO, a device or a directory where a
// file should be is a finding, never a hang, and sizes are limited.
//
// # Time
//
// [Options.At] is the moment at which expiry is judged; a moment in the future says
// what will be expired then if nobody signs.
package verify
