// Package watch follows a published repository from outside, at every address under which
// agents find it (origin, edges of a CDN, mirrors), and says when something is there that
// nobody of ours put there, or that agents will not take.
//
// # A poll
//
// At each poll every address is read as an agent reads it that was packaged with the
// trusted root, by package verify, which shares no code with what writes repositories. What
// was read is then held against three things: what was seen before, what the other
// addresses show, and what the transcripts of the people and machines with keys say that
// they signed. Nothing is ever written but the state file.
//
// A publisher who is at work while an address is read leaves traces that look like faults.
// So an address with a fault that was not there before is read again, up to three times
// within the poll, and only what stays is a finding.
//
// # Findings
//
// A Finding has a [Kind], an address, and mostly a role and a version. It begins with an
// [Event] and ends with one. [Kinds] lists and explains them. Two kinds need time to tell a
// fault from a cache: an address may be behind the others, and its copies for people (such
// as root.json) behind its numbered files, for Config.Delay.
//
// # Who signed that?
//
// Root, targets and the roles that targets delegates to (the archive's cold roles) are signed
// by people, who log it (--transcript). A version of root,
// targets or snapshot that carries enough good signatures and stands in no transcript was
// signed by somebody else: a key is in other hands. The same holds for a timestamp if the
// unattended signer's own transcript is given. Without that, a timestamp counts as the
// signer's if one was due: half of the validity is over, or a new snapshot is there. Versions
// from before a transcript began, and from before the first poll, are not judged by it.
//
// # Content
//
// Whether a target was written again, its server tells without sending it (ETag, date,
// length); each poll asks for up to 512 of them at each address, in turn. What has
// changed, or was never read, or not for Config.Content, is read to its end, up to
// 256 MiB for each poll and address. A server that lies about it is found out then.
//
// # State
//
// The state file holds what a restart must not forget: the highest versions, the hashes of
// versions seen, findings that are open. It is written whole and atomically after each poll
// that changed it; its schema is 1. It holds nothing secret, and whoever can write it can
// blind the watch.
package watch
