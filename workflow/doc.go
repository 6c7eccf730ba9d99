// Package workflow is what a command does to a repository, in one order: open, lock, load;
// then for a change: the policy of this machine, whatever else refuses, the review, a yes,
// signatures, and the commit.
//
// # A session
//
// A [Session] is one command: [Session.Begin] takes the lock, [Session.Load] reads what is
// published and staged, [Session.Publish] has a change signed and commits it, or leaves it
// staged and says so (*[StagedError]). [Session.StageOnly] leaves it for others to sign. A
// command that only signs ([Signing]) lets go of the lock and merges its signatures back.
//
// # Which code runs with the lock held
//
// All between Begin and End, but for the time in which a person is asked: [Session.UI] is
// the person as they are asked by who holds the lock. From [Session.UnlockWhileAsking] on,
// each question lets go of the lock, leaves the change in pending/, and takes the lock again
// before the answer counts; what moved meanwhile is a refusal (unlocked.go). Nobody else
// lets go of it.
//
// # Consent
//
// Each signature of root or targets passes one door (consent.go), whichever command asks:
// policy, refusals, review, yes. What another command staged needs somebody who says that
// they have looked at it (*[NotReviewed]).
//
// A session talks and asks through two interfaces, [Talk] and [Person], and prints nothing.
package workflow
