//go:build cgo && linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/softhsm"
)

// BenchmarkOneShotTimestamp holds `fleet-hsm timestamp` on a SoftHSM key against the
// shortest program that signs once with it (testdata/shortest), as processes, in turns.
// What it takes to start and end each program alone is taken off: `fleet-hsm --version`,
// and the shortest program told to do nothing. The programs are built as they are
// shipped, not the test binary. ratio and ratio-cpu are of medians; the token is the
// same for both, and so is the disk.
func BenchmarkOneShotTimestamp(b *testing.B) {
	dir := b.TempDir()
	ours, shortest := filepath.Join(dir, "fleet-hsm"), filepath.Join(dir, "shortest")
	built(b, ours, ".")
	built(b, shortest, "./testdata/shortest")
	tok := softhsm.New(b)
	path := oneShotRepository(b, ours, tok)
	timestamp := []string{ours, "--path", path, "--no-input", "--pkcs11-module", tok.Module, "timestamp"}
	env := []string{"FLEET_TIMESTAMP_PIN=" + tok.PIN}
	var whole, start, theirs, theirStart spent
	for b.Loop() {
		whole.add(spentOn(b, env, timestamp...))
		theirs.add(spentOn(b, nil, shortest, tok.Module, tok.Label, "timestamp", tok.PIN))
		start.add(spentOn(b, nil, ours, "--version"))
		theirStart.add(spentOn(b, nil, shortest))
	}
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
	b.ReportMetric(ms(whole.wall()), "ms/timestamp")
	b.ReportMetric(ms(start.wall()), "ms/start")
	b.ReportMetric(ms(theirs.wall()), "ms/shortest")
	b.ReportMetric(ms(theirStart.wall()), "ms/its-start")
	b.ReportMetric(ms(whole.wall()-start.wall())/ms(theirs.wall()-theirStart.wall()), "ratio")
	b.ReportMetric(ms(whole.cpu()-start.cpu())/ms(theirs.cpu()-theirStart.cpu()), "ratio-cpu")
}

func built(b *testing.B, path, pkg string) {
	b.Helper()
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, pkg).CombinedOutput(); err != nil {
		b.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
}

// oneShotRepository makes a repository whose timestamp key is on the token.
func oneShotRepository(b *testing.B, ours string, tok *softhsm.Token) string {
	b.Helper()
	path := b.TempDir()
	spentOn(b, append(secretEnv(), "FLEET_TIMESTAMP_PIN="+tok.PIN), ours, "--path", path, "--no-input",
		"--pkcs11-module", tok.Module, "init", "--generate", "--timestamp-key", tok.URI("timestamp"))
	return path
}

// spent holds what runs of a program took, by the clock and by the processors.
type spent struct{ walls, cpus []time.Duration }

func (s *spent) add(wall, cpu time.Duration) {
	s.walls, s.cpus = append(s.walls, wall), append(s.cpus, cpu)
}
func (s *spent) wall() time.Duration { return middle(s.walls) }
func (s *spent) cpu() time.Duration  { return middle(s.cpus) }

func middle(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func spentOn(b *testing.B, env []string, args ...string) (wall, cpu time.Duration) {
	b.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%q: %v\n%s", args, err, &out)
	}
	return time.Since(began), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}
