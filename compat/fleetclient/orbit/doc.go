// Package orbit is the update client inside Fleet's agents, as a library: the judge
// of everything fleet-hsm publishes.
//
// Deployed agents run orbit, and orbit runs the client of go-tuf v0.5.2; this module
// is pinned to it. The package adds what orbit adds, and nothing else:
//
//   - a remote store over HTTP with orbit's User-Agent: GET only, no retry, 404 alone
//     means "missing", every other status but 200 is a failure;
//   - a local store in one file, updates-metadata.json, that encodes what it saved
//     again at every write (which compacts it) and that is read back at a restart;
//   - trust from a root pinned at package time: [Open] initialises an empty store with
//     it, and never looks at it again once the store holds a root;
//   - the expiry test: [Agent.Lookup] fails when root, snapshot or targets are expired
//     or missing, although [Agent.Update] may have succeeded;
//   - [Agent.Download] with go-tuf's length and hash check, and orbit's own: the file
//     as written is hashed again, SHA-512 if the metadata has it, else SHA-256;
//   - [Agent.Install], the steps of an agent that starts.
//
// An [Agent] is one process of the agent. A second Open of the same folder is its
// restart; both matter, because some states fail only at one of them. With an empty
// Options.Dir the store is in memory: a cold client, cheap enough for loops.
//
// Nothing here is lenient on purpose. Where go-tuf v0.5.2 reports success although
// it holds old metadata (a timestamp seen before its snapshot), so does Update: tests
// must look at versions and lookups too, as an agent does.
package orbit
