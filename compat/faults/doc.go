// Command faults breaks fleet-hsm on purpose and lets the client inside Fleet's
// agents (go-tuf v0.5.2, compat/fleetclient) judge what is left.
//
//	faults --tool FILE --peer FILE [--long] [--seed N] [--only CLASS,...] [--match TEXT] [--work DIR]
//
// It drives a built binary, never the packages, on copies of small repositories in
// both layouts (consistent snapshots, flat). The classes:
//
//	kill     SIGKILL at random moments of add, rotate (each role), timestamp, commit,
//	         archive, its undo and prune; two thirds of them aimed at what comes after the signatures
//	call     SIGKILL in front of every single system call that such a command makes,
//	         counted over all its threads (package-private tracer, ptrace(2))
//	error    EIO, then ENOSPC, from every single open, write, fsync, rename, link,
//	         mkdir and unlink below the repository's folder
//	disk     a file system that really is full, at many sizes
//	peer     the same random kills on fleetctl's calls, for the table beside ours
//	race     two adds at once; add, timestamp and status in loops against each other
//	poll     clients in a tight loop while hundreds of changes are published, for the
//	         channels and for versions that go to the archive and back
//
// # What is demanded of every wreck
//
// A repository has a "world": which target path has which bytes. A command goes from
// one world to another, and both are known. After the fault:
//
//   - at once, before any command: with consistent snapshots a running agent, and a
//     cold one that knows nothing but the first root, update and hold the old or the
//     new world, every target byte checked. A rotation of another role than root has
//     one window, between its last two renames; wrecks in it are counted apart. In
//     the flat layout clients may fail here (counted), but each published file is
//     whole: old or new;
//   - nothing published is lost, and no version goes back;
//   - then one command of status, timestamp, the same add, another add, rotate and
//     discard, in turn, must succeed, and after it one that needs the keys that the
//     broken command may have changed;
//   - then three agents (one that polled the wreck, one from before the fault, a cold
//     one) hold the same whole world, one that the commands explain; and nothing of
//     ours is left in pending/, keys/ and repository/.
//
// The tracer is used in place of strace(1), whose counters are one per thread: a Go
// program moves between threads, so "the n-th call" would be another one each time.
//
// stdout gets the tables, stderr the progress. Exit codes: 0 all demands met, 1 not
// (each violation is named with the folder that holds the wreck), 2 wrong use, 130
// stopped (with the tables so far).
package main
