//go:build unix && !linux

package main

import "golang.org/x/sys/unix"

// noCoreDumps keeps secrets in memory out of core files.
func noCoreDumps() { _ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
