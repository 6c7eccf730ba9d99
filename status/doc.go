// Package status says how a repository stands: each role's version, expiry, threshold and
// keys, what is staged, what to beware of, and what to do next. It reads, and writes and
// asks nothing.
//
// [Of] looks at the folder of a session, [OfRemote] at what a server gives out. A [Report]
// is the same for both; what is left to do is a [Step], which the command line turns into a
// command.
package status
