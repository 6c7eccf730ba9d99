package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// firstPercent is how much the heap grows before the first collection, in percent.
const firstPercent = 200

// collectLater puts off the first garbage collection from a heap of 4 MB to one of 8: most
// commands end between the two, and that one collection took a fifth of their processor time.
// After it, and with a GOGC of the person's own, everything is as usual.
func collectLater() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(firstPercent)
	first := &struct{ self *int }{new(int)}
	runtime.AddCleanup(first, func(int) { collectAsUsual() }, 0)
}

// collectAsUsual is for who stays, and is held to less memory.
func collectAsUsual() {
	if os.Getenv("GOGC") != "" {
		return
	}
	if now := debug.SetGCPercent(100); now != firstPercent {
		debug.SetGCPercent(now) // somebody has chosen since, such as watch
	}
}
