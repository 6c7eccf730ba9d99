//go:build linux

package main

import (
	"os"
	"time"
)

// testClock in the environment is what the tool's clock shows, as RFC 3339.
const testClock = "FLEET_HSM_TEST_CLOCK"

func clockOfTest() func() time.Time {
	s := os.Getenv(testClock)
	if s == "" {
		return time.Now
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return func() time.Time { return t }
}
