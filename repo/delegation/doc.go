// Package delegation says which roles below targets.json deployed agents can live with. TUF
// lets targets delegate paths to roles of their own (fleet-hsm's archive of old versions is
// made of such), but go-tuf v0.5.2 and others stumble over much of what it allows: a role
// that is dropped, one that expires before targets, patterns that cross a slash, more than
// 32 roles on the way to a target, a target in two of them (COMPAT 6).
//
// [Check] compares what is published with what will be. It reads no file: package repo asks
// it before a change is staged, signed or taken from a request.
package delegation
