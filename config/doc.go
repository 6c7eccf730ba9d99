// Package config reads what the owner of this machine wrote for the tool: fleet-hsm.yaml,
// the manifest of a release, durations, and where secrets come from. It is strict: a field
// that is unknown or stands twice, and a value that means nothing, is an error that names
// it and its line. No secret is in any of it.
//
// # fleet-hsm.yaml
//
// [Where] finds the file and [Where.Load] reads it into a [Config]: where keys live
// (Locations), where their secrets come from (SecretSources), how long metadata is good and
// how early status warns, the store, the transcript, what this machine never signs
// ([Policy]). Which keys a role has is in root.json alone; here stands only where they are.
//
// The file names code (a module, a command that gives a secret), so it counts only if
// nobody but the user and root can have written it, and a request from elsewhere is never
// opened under a configuration that lies beside it.
//
// [Config.Remember] writes where a new key is into the file and keeps what a person wrote
// there, comments too. A file that the configuration names is relative to it
// ([Config.Beside]).
//
// # The manifest
//
// [ReadManifest] reads a whole release: every target gets the version and every channel.
//
// What is wrong is *[Error], *[ManifestError] or misuse; package main gives all of them
// exit code 2.
package config
