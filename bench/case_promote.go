package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A release of fleetd: two components for five platforms.
const (
	promoteTargets = 2000
	releaseFile    = 4_000_000
	released       = "4.0.0"
)

// part is one file of the release, and its name where it is published.
type part struct{ name, platform, file string }

func releaseParts() []part {
	var parts []part
	for _, platform := range []string{"linux", "linux-arm64", "macos", "windows", "windows-arm64"} {
		orbit, desktop := "orbit", "desktop.tar.gz"
		switch {
		case strings.HasPrefix(platform, "windows"):
			orbit, desktop = "orbit.exe", "fleet-desktop.exe"
		case platform == "macos":
			desktop = "desktop.app.tar.gz"
		}
		parts = append(parts, part{"orbit", platform, orbit}, part{"desktop", platform, desktop})
	}
	return parts
}

// releasedFolders makes a repository with many targets, the release on edge and an older one
// on stable: flat for the peer, with consistent snapshots for ours.
func (b *bench) releasedFolders() (peer, ours string, err error) {
	if peer, err = b.generated(promoteTargets); err != nil {
		return "", "", err
	}
	if ours, err = b.clone(peer); err != nil {
		return "", "", err
	}
	if _, err := measure(b.onOurs(ours, "migrate")); err != nil {
		return "", "", err
	}
	for _, r := range []struct{ version, channel string }{{"3.0.0", "stable"}, {released, "edge"}} {
		manifest, err := b.manifest(r.version, r.channel)
		if err != nil {
			return "", "", err
		}
		for _, dir := range []string{peer, ours} {
			if _, err := measure(b.onOurs(dir, "add", "--manifest", manifest)); err != nil {
				return "", "", err
			}
		}
	}
	return peer, ours, nil
}

// manifest writes the files of a release, and what `add --manifest` reads.
func (b *bench) manifest(version, channel string) (string, error) {
	dir := filepath.Join(b.dir, "release-"+version)
	var text strings.Builder
	fmt.Fprintf(&text, "version: %s\nchannels: [%s]\ntargets:\n", version, channel)
	for _, p := range releaseParts() {
		rel := filepath.Join("release-"+version, p.name, p.platform, p.file)
		if err := os.MkdirAll(filepath.Dir(filepath.Join(b.dir, rel)), 0o755); err != nil {
			return "", err
		}
		if _, err := b.file(rel, releaseFile); err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "  - {name: %s, platform: %s, file: %q}\n", p.name, p.platform, filepath.Join(b.dir, rel))
	}
	file := filepath.Join(dir, "release.yaml")
	return file, os.WriteFile(file, []byte(text.String()), 0o644)
}

// peerPromotes is what a fleetctl user does: one add per component and platform, of
// the file that edge has.
func (b *bench) peerPromotes(base string) (sample, error) {
	dir, err := b.clone(base)
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(dir)
	var all sample
	for _, p := range releaseParts() {
		s, err := measure(b.onPeer(dir, "add", "--target", filepath.Join(dir, "repository", "targets", p.name, p.platform, "edge", p.file),
			"--name", p.name, "--platform", p.platform, "--version", released, "-t", "4", "-t", "4.0", "-t", "stable"))
		if err != nil {
			return sample{}, err
		}
		all.wall, all.cpu, all.written, all.peak = all.wall+s.wall, all.cpu+s.cpu, all.written+s.written, max(all.peak, s.peak)
	}
	return all, nil
}

func promotion() []string {
	return []string{"promote", released, "--name", "orbit", "--name", "desktop", "--from", "edge", "--to", "stable", "-t", "4", "-t", "4.0"}
}

func (b *bench) promoteCase() error {
	peer, ours, err := b.releasedFolders()
	if err != nil {
		return err
	}
	sides, err := inTurn(b.pairs(true),
		func() (sample, error) { return b.peerPromotes(peer) },
		func() (sample, error) {
			return b.fresh(ours, func(d string) command { return b.onOurs(d, promotion()...) })
		},
	)
	if err != nil {
		return err
	}
	b.add(row{"a release to 3 channels among 2,000 targets: 10 `add` calls / one `promote`", sides[0], sides[1]})
	wall := sides[1].wall()
	b.aim(wall < time.Second, "`promote` of a whole release among 2,000 targets under 1 s", "%.3f s", wall.Seconds())
	return b.readsContent(ours)
}

// readsContent watches for system calls that read a target's bytes.
func (b *bench) readsContent(base string) error {
	if _, err := exec.LookPath("strace"); err != nil {
		return fmt.Errorf("strace counts the reads of target files: %w", err)
	}
	dir, err := b.clone(base)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	trace := filepath.Join(b.dir, "promote.trace")
	c := b.onOurs(dir, promotion()...)
	c.args = append([]string{"-f", "-e", "trace=read,pread64,readv,preadv,mmap,copy_file_range,sendfile,splice", "-y", "-o", trace, c.path}, c.args...)
	c.path = "strace"
	if _, err := measure(c); err != nil {
		return err
	}
	content, err := os.ReadFile(trace)
	if err != nil {
		return err
	}
	reads, seen := 0, false
	for line := range strings.Lines(string(content)) {
		seen = seen || strings.Contains(line, "repository/targets.json")
		if strings.Contains(line, "repository/targets/") || strings.Contains(line, "pending/content/") {
			reads++
		}
	}
	b.aim(reads == 0 && seen, "`promote` reads no byte of a target", "%d system calls that read one (strace)", reads)
	return nil
}
