// Package store says where a published repository lives and how new versions get
// there without any client ever seeing half of one.
//
// # Stores
//
// A [Store] is a flat set of named files: a folder that a web server serves, or an
// S3-compatible bucket. [Parse] reads its URL and [Open] opens it:
//
//	file:///srv/updates
//	s3://bucket
//	s3://bucket/prefix?endpoint=https://minio.example.com&region=eu-1
//
// Credentials of a bucket come from the standard chain (environment, files, instance
// role), never from the URL. Names of files are relative, with slashes, such as
// "timestamp.json" or "targets/orbit/linux/stable/orbit".
//
// Writes are atomic: a reader gets the old file or the new one. A write may carry a
// condition: the name must be free ([PutOptions].Absent), or the file must still be
// the one that was read ([PutOptions].Match, an ETag). These conditions are the lock
// between all who write to one store. Some S3 servers take them and ignore them;
// [Probe] finds out.
//
// # Publishing
//
// [MakePlan] compares repository/ on this machine with the store and says what would
// be written and deleted; it writes nothing and refuses where the store holds a
// higher version, or another history, than the one to be published. [UploadPlan.Publish]
// then uploads step by step, each step finished before the next begins:
//
//	flat         target files, N.root.json, root.json, targets.json, snapshot.json,
//	             timestamp.json
//	consistent   hash-named target files, N.targets.json, N.snapshot.json, the
//	             unversioned copies, root.json, N.root.json, timestamp.json
//
// Timestamp.json comes last and alone, because deployed agents (go-tuf v0.5.2) that
// see a timestamp before its snapshot are stuck until the next timestamp. A publish
// that was killed is finished by running it again: what is there already, by size
// and hash, is not sent again. Where the store's snapshot is the one on this machine
// nothing but the timestamp is looked at: one PUT, no listing.
//
// After the upload the store is read back: once as a new client would read it, once
// as a client that knew the state before.
//
// [Pull] is the other direction: verified metadata, and content if wanted, from the
// store into repository/, never backwards.
//
// # Trust
//
// This package checks hashes, lengths and versions between files. It does not check
// signatures; the caller hands in functions that do ([Options].Verify,
// [Options].ReadBack, [PullOptions].Verify).
package store
