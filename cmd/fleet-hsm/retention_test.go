//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestManyTargetsAreTold: from 2,000 targets on add and promote warn, if the configuration
// has a line for it, and status does, with the command that helps and what it saves.
func TestManyTargetsAreTold(t *testing.T) {
	t.Parallel()
	bin, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "r")
	gen := exec.Command(filepath.Join(bin, "fleetctl-peer"), "--path", dir, "gen", "--targets", "1998")
	gen.Env = append(os.Environ(), secretEnv()...)
	if out, err := gen.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	config := filepath.Join(dir, "fleet-hsm.yaml")
	if err := os.WriteFile(config, []byte("retention: {keep: 5}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	add := func(version string) string {
		file := write(t, "orbit", "orbit "+version+"\n")
		return must(t, "add", "--path", dir, "--target", file, "--name", "orbit", "--platform", "linux", "--version", version, "-t", "stable").stderr
	}
	const command = `"fleet-hsm archive --keep 5" would leave 1`
	if said := add("2.0.0"); strings.Contains(said, "fleet-hsm archive") {
		t.Errorf("at 1,999 targets: %s", said)
	}
	if said := add("2.0.1"); !strings.Contains(said, "targets.json has 2000 targets (46") || !strings.Contains(said, command) {
		t.Errorf("at 2,000 targets: %s", said)
	}
	if said := must(t, "promote", "--path", dir, "1.0.1", "--from", "edge", "--to", "new").stderr; !strings.Contains(said, command) {
		t.Errorf("promote: %s", said)
	}
	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	if said := add("2.0.2"); strings.Contains(said, "fleet-hsm archive") {
		t.Errorf("nobody asked for it: %s", said)
	}
	status := must(t, "status", "--path", dir)
	if !strings.Contains(status.stdout, `"fleet-hsm archive --keep 10" would leave`) {
		t.Errorf("status: %s%s", status.stdout, status.stderr)
	}
}
