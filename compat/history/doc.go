// Package history tries to make us publish one number twice. Its test plays random
// sequences of our commands (package repo, with keys in memory), of fleetctl's calls
// (package peer over go-tuf v0.5.2), of kills in the middle of our commands, and of
// restoring any earlier copy of any subset of the files in repository/ and pending/, with
// and without taking away what the copy did not have.
//
// # What is demanded
//
// After every step of ours: a numbered file that was there keeps its bytes, and no
// version of a role that we have signed or built upon appears with another content.
//
// From every state a way leads out: add is tried, then the command that its refusal's
// hint names (doctor --mend, doctor --mend --give-up, rotate targets --renew, discard,
// remove of what has no content; where two roots of one number were signed, pull into a
// new folder), at most five times. Either it ends in a repository
// that is accepted by our verify from every root, and by Fleet's client (go-tuf v0.5.2) and
// those of go-tuf v0.7.0 and v2 as a new agent, as one pinned to the oldest root, and as
// one that saw an earlier release; or the
// refusal says that something has to be brought back. Then the newest copy of what it
// names is brought back, and the same is demanded again.
//
// The same is played with archive, its undo and prune among our commands, and then without
// fleetctl, which must not write to a folder that has cold roles.
//
// # What is left out
//
// pending/history.json itself is not restored: whoever puts it back together with an
// older repository/ has a folder in which nothing knows of the newer versions, and only
// a store tells (publish, pull). What fleetctl publishes counts from the moment that a
// command of ours has committed upon it; before, nothing of ours can know of it.
//
//	go test -C compat/history .                   # 40 sequences
//	FLEET_HSM_LONG=1 go test -C compat/history .  # 2,000
//	FLEET_HSM_SEED=N ...                          # one sequence, told step by step; N-M: these
//	FLEET_HSM_JUDGE=PROGRAM ...                   # one more client judges; it is called as
//	                                              # package judge says: --url, --root, --state, all
package history
