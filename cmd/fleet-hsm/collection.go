package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// collectLater puts off the first garbage collection from a heap of 4 MB to one of 8: most
// commands end between the two, and that one collection took a fifth of their processor time.
// After it, and with a GOGC of the person's own, everything is as usual.
func collectLater() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(200)
	first := &struct{ self *int }{new(int)}
	runtime.AddCleanup(first, func(int) { collectAsUsual() }, 0)
}

// collectAsUsual is for who stays, and is held to less memory.
func collectAsUsual() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(100)
	}
}
