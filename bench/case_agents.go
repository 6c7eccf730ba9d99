package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// What agents pay for history: the client inside them (go-tuf v0.5.2) on a repository that
// keeps everything in targets.json, and on the same one after archive.

// agentKeep is how many of the newest versions stay in targets.json.
const agentKeep = 3

// followedTargets are what an agent on Linux looks up at every poll.
var followedTargets = []string{"orbit/linux/stable/orbit", "osqueryd/linux/stable/osqueryd", "desktop/linux/stable/desktop.tar.gz"}

// pinnedTargets are those of an agent whose orbit is pinned to an old version.
var pinnedTargets = []string{"orbit/linux/1.0.5/orbit", "osqueryd/linux/stable/osqueryd", "desktop/linux/stable/desktop.tar.gz"}

// toll is what one poll takes.
type toll struct {
	bytes, gzip int64 // without and with gzip
	cpu         time.Duration
}

// agentRow is one repository and one kind of agent.
type agentRow struct {
	name                 string
	first, idle, release toll
}

func (b *bench) agentsCase() error {
	client, err := b.buildClient()
	if err != nil {
		return err
	}
	sizes := []int{1_000, many, 100_000}
	if b.quick {
		sizes = sizes[:1]
	}
	b.table = append(b.table, "| repository | first contact: bytes (gzip), processor | idle poll | after a release |\n|---|---|---|---|")
	for _, n := range sizes {
		if err := b.agentsAt(client, n); err != nil {
			return err
		}
	}
	return b.addCase()
}

// agentsAt measures at one size.
func (b *bench) agentsAt(client string, n int) error {
	dir, err := b.folder()
	if err != nil {
		return err
	}
	if _, err := measure(b.onPeer(dir, "gen", "--consistent-snapshot", "--targets", fmt.Sprint(n))); err != nil {
		return err
	}
	rounds := 3
	if n > many {
		rounds = 1 // of a minute each
	}
	flat := b.agents(client, dir, fmt.Sprintf("%s targets, all in targets.json", thousands(n)), followedTargets)
	if _, err := flat.measure(rounds); err != nil {
		return err
	}
	s, err := measure(b.onOurs(dir, "archive", "--keep", fmt.Sprint(agentKeep)))
	if err != nil {
		return err
	}
	archived, err := b.agents(client, dir, fmt.Sprintf("%s targets, archived", thousands(n)), followedTargets).measure(rounds)
	if err != nil {
		return err
	}
	if _, err := b.agents(client, dir, "the same, and the agent is pinned to an archived version", pinnedTargets).measure(rounds); err != nil {
		return err
	}
	if n == many {
		b.aim(archived.release.bytes <= 25_000, "an agent fetches at most 25 KB after a release, at 10,000 targets", "%.1f KB (%.1f KB with gzip)", float64(archived.release.bytes)/1e3, float64(archived.release.gzip)/1e3)
		b.aim(archived.idle.bytes <= 1_000, "at most 1 KB at an idle poll", "%d B", archived.idle.bytes)
		b.aim(archived.idle.cpu <= 200*time.Millisecond, "at most 0.2 s of processor at an idle poll", "%.3f s", archived.idle.cpu.Seconds())
		b.aim(s.wall <= 5*time.Second, "`archive` of 10,000 targets under 5 s", "%.2f s (processor %.2f s), with its 13 signatures", s.wall.Seconds(), s.cpu.Seconds())
	}
	return nil
}

// agents is a client on a repository.
func (b *bench) agents(client, dir, name string, targets []string) *agentBench {
	return &agentBench{bench: b, client: client, dir: dir, targets: targets, row: agentRow{name: name}}
}

type agentBench struct {
	*bench
	client, dir string
	targets     []string
	row         agentRow
}

// measure lets an agent meet the repository, poll it while nothing is new, and poll it
// after a release.
func (a *agentBench) measure(rounds int) (agentRow, error) {
	state, err := a.folder()
	if err != nil {
		return a.row, err
	}
	for _, step := range []struct {
		into   *toll
		rounds int
		before func() error
	}{
		{&a.row.first, 1, nil},
		{&a.row.idle, rounds, nil},
		{&a.row.release, 1, a.publish},
	} {
		if step.before != nil {
			if err := step.before(); err != nil {
				return a.row, err
			}
		}
		if *step.into, err = a.poll(state, step.rounds); err != nil {
			return a.row, fmt.Errorf("%s: %w", a.row.name, err)
		}
	}
	a.table = append(a.table, fmt.Sprintf("| %s | %s | %s | %s |", a.row.name, a.row.first, a.row.idle, a.row.release))
	return a.row, nil
}

func (t toll) String() string {
	return fmt.Sprintf("%s (%s), %.2f s", bytesOf(t.bytes), bytesOf(t.gzip), t.cpu.Seconds())
}

func bytesOf(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f KB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.2f MB", float64(n)/1e6)
}

// publish releases a new version of one component.
func (a *agentBench) publish() error {
	a.n++
	file, err := a.file(fmt.Sprintf("agents-%d", a.n), 4096)
	if err != nil {
		return err
	}
	_, err = measure(a.onOurs(a.dir, "add", "--target", file, "--name", "orbit", "--platform", "linux",
		"--version", fmt.Sprintf("8.0.%d", a.n), "-t", "stable", "--no-lint", "all"))
	return err
}

// addCase compares a release into an empty repository with one after 10,000 targets went
// into the archive.
func (b *bench) addCase() error {
	empty, full := "", ""
	for _, c := range []struct {
		dir *string
		n   int
	}{{&empty, 0}, {&full, many}} {
		dir, err := b.folder()
		if err != nil {
			return err
		}
		if _, err := measure(b.onPeer(dir, "gen", "--consistent-snapshot", "--targets", fmt.Sprint(c.n))); err != nil {
			return err
		}
		*c.dir = dir
	}
	if _, err := measure(b.onOurs(full, "archive", "--keep", fmt.Sprint(agentKeep))); err != nil {
		return err
	}
	add := func(dir string) func() (sample, error) {
		return func() (sample, error) {
			b.n++
			file, err := b.file(fmt.Sprintf("agents-%d", b.n), 4096)
			if err != nil {
				return sample{}, err
			}
			return measure(b.onOurs(dir, release(file, fmt.Sprintf("9.0.%d", b.n))...))
		}
	}
	for _, dir := range []string{empty, full} { // what another tool made is judged once
		if _, err := add(dir)(); err != nil {
			return err
		}
	}
	sides, err := inTurn(b.pairs(false), add(empty), add(full))
	if err != nil {
		return err
	}
	wall, cpu := ratio(sides[1], sides[0]), float64(sides[1].cpu())/float64(sides[0].cpu())
	b.aim(min(wall, cpu) <= 1.2, "`add` after `archive` of 10,000 targets at most 1.2 times as long as in an empty repository",
		"%.2f times by the clock, %.2f times by processor (%.3f s and %.3f s)", wall, cpu, sides[1].wall().Seconds(), sides[0].wall().Seconds())
	return nil
}

// root is the pinned root of a folder.
func (a *agentBench) root() string { return filepath.Join(a.dir, "repository", "1.root.json") }

func (b *bench) tables() string {
	if len(b.table) == 0 {
		return ""
	}
	return strings.Join(b.table, "\n") + "\n\n"
}
