// Package peer writes genuine fleetctl directories: the same calls of go-tuf v0.5.2,
// in the same order, as `fleetctl updates` makes, with its flags' meaning, its
// environment variables and its costs. Compatibility tests take such directories over,
// hand them back and let the peer go on; the benchmark measures against it.
//
// What is kept on purpose, because it costs time or shows on disk:
//
//   - every key a command needs is opened twice: once to check the passphrase, once by
//     the repository's own store, and each time go-tuf tries the empty passphrase
//     first: four runs of scrypt per key;
//   - add copies the file once per channel into staged/, hashes each copy, and commit
//     copies each again into repository/; the staging copy does not cut an older file;
//   - rotate opens all four keys whatever the role, and keeps copies of *.json in
//     repository/.backup and keys/.backup until it succeeded; a leftover refuses the
//     next one;
//   - timestamp commits whatever lies in staged/;
//   - expiries are written in the zone of the process (TZ).
//
// What is left out: the terminal (passphrases come from FLEET_<ROLE>_PASSPHRASE alone)
// and the start-up weight of the fleetctl binary.
//
// [Generate] makes directories that would take years to grow: several keys per role,
// many root versions, hundreds of targets, an expired first root, other key types.
package peer
