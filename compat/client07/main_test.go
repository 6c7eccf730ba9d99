package main

import (
	"testing"

	"github.com/fleet-hsm/fleet-hsm/compat/judge/judgetest"
)

func TestClient(t *testing.T) {
	judgetest.Client{
		Name: name, Open: open,
		Verdict: func(_, v07, _ string) string { return v07 },
	}.Run(t)
}
