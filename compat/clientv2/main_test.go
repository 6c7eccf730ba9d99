package main

import (
	"testing"

	"github.com/fleet-hsm/fleet-hsm/compat/judge/judgetest"
)

func TestClient(t *testing.T) {
	judgetest.Client{
		Name: name, Open: open,
		Verdict: func(_, _, v2 string) string { return v2 },
	}.Run(t)
}
