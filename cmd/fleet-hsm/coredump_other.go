//go:build !unix

package main

// noCoreDumps: there are no core files here.
func noCoreDumps() {}
