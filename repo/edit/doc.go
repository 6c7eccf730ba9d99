// Package edit holds what people do to a repository, one operation a file: add, promote,
// remove, archive, prune, rotate, renew, migrate. Each refuses what must not be done, and
// stages a [repo.Change] on top of what is published or of the change that waits; none
// signs, and none publishes. How a change is numbered, dated and checked is the same for all
// of them, in package repo ([repo.Repo.Restage]). Beside these: content that no metadata names
// and what fleetctl left, found and removed.
package edit
