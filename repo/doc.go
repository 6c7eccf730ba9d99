// Package repo is a TUF repository (The Update Framework) on disk, in the layout of
// `fleetctl updates`, whose published bytes the client inside Fleet's agents
// (go-tuf v0.5.2) accepts.
//
// # Folders
//
//	repository/   the web root: root.json, N.root.json, targets.json, snapshot.json,
//	              timestamp.json, targets/...; with consistent snapshots also
//	              N.targets.json, N.snapshot.json and targets/<dir>/<sha512>.<file>
//	pending/      the lock, the staged change (change.json, content/), what a commit
//	              is about to rename (commit/) and its journal
//	staged/       fleetctl's; never read, never written: leftovers are only named
//
// What the files say, in memory, is package meta: this package reads them, builds the next
// ones and puts them in place.
//
// # A change
//
// A [Change] holds a new root, a new targets, or both. It is built in memory by
// [Repo.Init] and by the operations of package edit, is signed with
// [meta.Doc.AddSignature], may wait on disk between commands ([Repo.Save],
// [Repo.Staged]), and becomes a [Release] when root and targets have the signatures
// they need. A Release adds the snapshot and the timestamp, numbered over what is
// published at that moment, is signed the same way and is published by
// [Repo.Commit]. The timestamp alone is a Release without a Change
// ([Repo.Timestamp]), so it goes on while a change waits for its second holder.
//
// # Who signs
//
// The package asks nobody for keys. [meta.Doc.Missing] says which keys could still sign
// and how many are needed; the caller finds them, signs [meta.Doc.Payload] (canonical
// JSON of "signed") and hands the signature in. Every signature is verified with the
// public key that root names before it is kept. A new root needs the threshold of
// the published root and its own.
//
// # Commit
//
// Everything new is written and synced below pending/commit, then a journal, then
// renames in an order in which clients verify at every step (DESIGN: targets, root,
// targets.json, snapshot.json, timestamp.json last), then the folders are synced and
// the journal goes. Before the journal a crash leaves the old repository; after it
// the next command that takes the lock finishes the renames and needs no key. A
// timestamp alone is one rename and needs no journal.
package repo
