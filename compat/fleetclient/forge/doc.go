// Package forge makes TUF repositories of any form, right or wrong, signed by keys it
// holds in memory. fleetctl's own calls refuse to write most of what the judge must
// be seen to refuse: expired roles, foreign key types, raw signatures, indented JSON.
//
// A [Repo] is a web root that grows: [New], add targets, sign a role, sign the next.
// Each Sign method raises that role's version and writes its file at once, so a test
// can stop between two of them or keep a copy of a half-published state.
//
// The bytes have the form that go-tuf v0.5.2 gives them: field order, compact, no
// trailing newline, SHA-512 only, signatures over canonical JSON.
//
// [Cases] are repositories that differ in their keys alone, each with what the clients
// of go-tuf v0.5.2, v0.7.0 and v2.4.2 say of it: the measured table that decides which
// keys fleet-hsm may put into a root. Every client module tests itself against it.
package forge
