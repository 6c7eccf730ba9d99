// Package online keeps the timestamp of a published repository fresh, unattended: it
// works straight on the store that serves the agents, with the trusted root and the
// timestamp key and nothing else.
//
// # One check
//
// [Service.Check] is one round, and [Once] does a single one:
//
//  1. Follow the root chain from the trusted root: N+1.root.json, signed by the keys
//     of both, until there is none (TUF spec 5.3). Of an idle repository this is the
//     first of three reads.
//  2. Read timestamp.json. It must verify under the present root, or under one of the
//     chain before it: then the timestamp keys have been changed, and it is signed
//     anew, and its version means nothing. One that verifies under none is an error,
//     never overwritten.
//  3. Find the highest snapshot that verifies. A release engineer may have put
//     N.snapshot.json there without a timestamp; the check asks for the next version
//     and, in turns, looks at the unversioned copy, which finds versions that were
//     skipped. A snapshot that goes back, in its own version or in that of targets,
//     is refused.
//  4. Read and verify targets.json, once for each hash that a snapshot names; its
//     expiry is remembered. Renewals in between do not read it, so they cost the same
//     for ten targets and for a hundred thousand.
//  5. Refuse to go on if root, snapshot or targets have expired or do not verify: a
//     fresh timestamp over a dead repository would only hide the outage. [ErrExpired]
//     and [ErrUnverified] say so.
//  6. If the timestamp is due, sign one version up, verify the signatures with the
//     keys that root names, and write it on the condition that timestamp.json is
//     still the one that was read. Read it back. After a time-out, an error of the
//     store or a failed condition the store is read: identical bytes mean success.
//
// A timestamp is due when less than [Config].RenewBefore of its life is left, when a
// newer snapshot waits, and when the keys have changed. The
// keys count as changed also when a root that changes any role below it is younger
// than the timestamp: agents drop what they have at such a root, and fetch it again
// only with a timestamp of a higher version.
//
// # Memory
//
// The state file ([Config].StateFile) keeps the roots followed, the highest targets,
// snapshot and timestamp in force, and what was signed last. What the store shows is
// compared with it before anything is signed: older is [ErrRollback], other bytes at the
// same version [ErrDiverged], a jump of more than tuf.MaxJump a tuf.VersionError, an
// expired timestamp that nothing remembers as the newest [ErrLapsed]. A root that takes
// keys from a role makes the memory forget the role, as agents do. A signed timestamp is
// remembered before it is written, and its number is never given to other bytes.
//
// # Several instances
//
// The store's conditional write is the lock between instances: of all that sign at
// once one wins, the others see its timestamp and rest. No version is written twice
// and none below one that was seen.
//
// # Clocks
//
// A new timestamp that would expire before the published one is refused ([ErrShorter]),
// and so is a clock that is far from the store's own, or that jumped back
// ([ErrClock]).
//
// # Keys
//
// Keys come from [KeySource] values, in order of preference. A source that fails is
// closed, opened again and tried once more (an HSM that was restarted), then the next
// one is asked. A source whose key root does not name for the timestamp role is passed
// over without using it, so the key of the next rotation can be configured ahead and
// is picked up when the new root appears.
//
// # Watching
//
// [Metrics] are for Prometheus, [Handler] serves them with /healthz and /readyz. The
// names:
//
//	fleet_hsm_build_info{version,goversion}    always 1
//	fleet_hsm_role_expiry_seconds{role}        until the role expires; negative after
//	fleet_hsm_role_version{role}               version in force
//	fleet_hsm_last_success_timestamp_seconds   Unix time of the last good check
//	fleet_hsm_checks_total{outcome}            signed, fresh, other-writer, failed
//	fleet_hsm_failures_total{cause}            see Cause
//	fleet_hsm_signatures_total{key}            by each key
//	fleet_hsm_key_errors_total{key}            openings and signatures that failed
//	fleet_hsm_key_reconnects_total{key}        openings after the first
//	fleet_hsm_store_request_seconds{operation} latency: get, put
//	fleet_hsm_rejected_snapshots_total         newer snapshots that were not good
//	fleet_hsm_store_went_back_total            checks that found something older, or a forged version
package online
