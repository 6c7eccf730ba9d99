package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/peer"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// command is one of ours, as the child that is killed runs it too.
type command struct {
	Op, Role string
	Version  int
	Content  string
	Key      string // public key ID for rotate, which the keyring holds
}

func (w *world) command() command {
	w.n++
	c := command{Version: w.n, Content: fmt.Sprintf("content %d", w.n), Role: meta.Roles()[w.rng.IntN(4)]}
	ops := []string{"add", "add", "add", "add", "rotate", "renew", "renew", "timestamp", "timestamp", "promote", "stage", "commit", "discard", "mend"}
	if w.archives {
		ops = append(ops, "archive", "archive", "undo", "prune")
	}
	c.Op = ops[w.rng.IntN(len(ops))]
	if c.Op == "rotate" {
		c.Key = w.newKey().ID.String()
	}
	return c
}

func (c command) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s", c.Op, map[string]string{"rotate": c.Role, "renew": c.Role}[c.Op]))
}

// run does the command in dir.
func (c command) run(dir string, kr keyring) error {
	mending := c.Op == "mend" || c.Op == "give up"
	return locked(dir, mending, func(r *repo.Repo) error {
		switch c.Op {
		case "timestamp":
			rel, err := r.Timestamp(repo.ReleaseOptions{})
			if err != nil {
				return err
			}
			return kr.commit(r, rel)
		case "discard":
			return r.Discard()
		case "mend", "give up":
			_, err := r.Mend(c.Op == "give up")
			return err
		}
		p, err := r.Load()
		if err != nil {
			return err
		}
		staged, err := r.Staged(p)
		if err != nil && !errors.Is(err, repo.ErrNothingStaged) {
			return err
		}
		if c.Op == "commit" {
			if staged == nil {
				return repo.ErrNothingStaged
			}
			return kr.publish(r, p, staged)
		}
		change, err := c.change(dir, r, p, staged, kr)
		if err != nil {
			return err
		}
		if c.Op == "stage" {
			return errors.Join(r.Save(change), r.Remember(p)) // as workflow.Session.StageOnly does
		}
		return kr.publish(r, p, change)
	})
}

func (c command) change(dir string, r *repo.Repo, p *repo.Published, staged *repo.Change, kr keyring) (*repo.Change, error) {
	opts := repo.StageOptions{}
	switch c.Op {
	case "rotate":
		key, err := meta.NewKey(kr[c.Key].Public())
		if err != nil {
			return nil, err
		}
		return edit.Rotate(r, p, staged, edit.Rotation{Role: c.Role, Set: []meta.Key{key}}, opts)
	case "renew":
		role := meta.RoleTargets
		if c.Role == meta.RoleRoot {
			role = c.Role
		}
		return edit.Renew(r, p, staged, role, opts)
	case "remove":
		change, _, err := edit.Remove(r, p, staged, edit.Removal{Paths: strings.Split(c.Content, "\n")}, opts)
		return change, err
	case "archive":
		change, _, err := edit.Archive(r, p, staged, edit.Archiving{Retention: meta.Retention{Keep: 1}}, opts)
		return change, err
	case "undo":
		change, _, err := edit.Archive(r, p, staged, edit.Archiving{Undo: true}, opts)
		return change, err
	case "prune":
		change, _, _, err := edit.Prune(r, p, staged, edit.Pruning{Retention: meta.Retention{Keep: 2}}, opts)
		return change, err
	case "promote":
		change, _, err := edit.Promote(r, p, staged, edit.Promotion{Version: "1", From: "stable", To: []string{"edge"}, AllowMissing: true}, opts)
		return change, err
	}
	file := filepath.Join(dir, "source")
	if err := os.WriteFile(file, []byte(c.Content), 0o600); err != nil {
		return nil, err
	}
	content, err := r.Stage(context.Background(), file, nil)
	if err != nil {
		return nil, err
	}
	it := meta.Item{Name: "orbit", Platform: "linux", Version: fmt.Sprint(c.Version), Channels: []string{"stable"}, File: file}
	return edit.Add(r, p, staged, []edit.StagedItem{{Item: it, Content: content}}, opts)
}

// step plays one step of the sequence.
func (w *world) step() {
	switch n := w.rng.IntN(100); {
	case n < 55:
		c := w.command()
		err := w.run(c)
		if err == nil && w.rng.IntN(2) == 0 {
			w.poll()
		}
	case n < 67 && !w.archives: // it must not write to a folder with an archive
		w.fleetctl()
	case n < 77:
		w.kill()
	default:
		w.goBack()
	}
	if w.rng.IntN(2) == 0 {
		w.copies = append(w.copies, w.copy())
	}
}

// run does a command and tells of it.
func (w *world) run(c command) error {
	return w.ours(c.String(), func() error {
		err := c.run(w.dir, w.keys)
		w.tell("%s: %v", c, err)
		return err
	})
}

func (w *world) tell(format string, args ...any) {
	w.told = append(w.told, fmt.Sprintf(format, args...))
}

// goBack restores a copy: all of it, one role's files, or any subset.
func (w *world) goBack() {
	i := w.rng.IntN(len(w.copies))
	sync := w.rng.IntN(4) == 0
	var chosen func(string) bool
	what := ""
	switch w.rng.IntN(4) {
	case 0:
		what, chosen = "everything", func(string) bool { return true }
	case 1:
		what, chosen = "repository/", func(name string) bool { return strings.HasPrefix(name, "repository/") }
	case 2:
		what = meta.Roles()[w.rng.IntN(4)] + ".json"
		file := "repository/" + what
		chosen = func(name string) bool { return name == file }
	default:
		picked := map[string]bool{}
		what = "a subset"
		chosen = func(name string) bool {
			if _, seen := picked[name]; !seen {
				picked[name] = w.rng.IntN(2) == 0
			}
			return picked[name]
		}
	}
	w.restore(w.copies[i], chosen, sync)
	w.tell("copy %d of %d is put back: %s, sync %v", i+1, len(w.copies), what, sync)
}

// fleetctl makes one of its calls. What it signs again in a folder that went back is
// its own doing.
func (w *world) fleetctl() {
	w.writeKeys()
	w.n++
	role := meta.Roles()[w.rng.IntN(4)]
	var err error
	what := ""
	switch w.rng.IntN(5) {
	case 0, 1:
		file := filepath.Join(w.base, "theirs")
		w.must(os.WriteFile(file, fmt.Appendf(nil, "theirs %d", w.n), 0o600))
		what, err = "add", peer.Add(w.dir, peer.Target{File: file, Name: "orbit", Platform: "linux", Version: fmt.Sprint(w.n), Tags: []string{"stable"}})
	case 2, 3:
		what, err = "timestamp", peer.Timestamp(w.dir)
	default:
		what, err = "rotate "+role, peer.Rotate(w.dir, role, io.Discard)
		w.takeKeys(role)
	}
	w.tell("fleetctl %s: %v", what, err)
	if err == nil {
		w.stored()
	}
}

// kill starts a command in a process of its own and kills it somewhere in it.
func (w *world) kill() {
	c := w.command()
	if c.Op == "discard" || c.Op == "mend" {
		c.Op = "add"
	}
	job, err := json.Marshal(job{Dir: w.dir, Command: c, Keys: w.keys})
	w.must(err)
	// What it has published when it dies, we have published.
	_ = w.ours(c.String()+", killed", func() error { return w.runKilled(c, job) })
	// A copy that is put back right then may take away what it had put in place.
	if w.rng.IntN(3) == 0 {
		w.goBack()
	}
}

func (w *world) runKilled(c command, job []byte) error {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childMark+"=1")
	cmd.Stdin = strings.NewReader(string(job))
	out, err := cmd.StdoutPipe()
	w.must(err)
	w.must(cmd.Start())
	_, _ = out.Read(make([]byte, 1)) // it begins now
	time.Sleep(time.Duration(w.rng.IntN(8000)) * time.Microsecond)
	_ = cmd.Process.Kill()
	err = cmd.Wait()
	w.tell("%s, killed: %v", c, err)
	return err
}

// childMark tells the test binary to be a command that will be killed.
const childMark = "FLEET_HSM_HISTORY_CHILD"

type job struct {
	Dir     string
	Command command
	Keys    keyring
}

func child() error {
	var j job
	if err := json.NewDecoder(os.Stdin).Decode(&j); err != nil {
		return err
	}
	if _, err := os.Stdout.Write([]byte("!")); err != nil {
		return err
	}
	return j.Command.run(j.Dir, j.Keys)
}

// poll lets the agent that sees earlier releases look.
func (w *world) poll() {
	if err := w.saw.Update(); err != nil {
		w.tell("the agent that polls: %v", err)
	}
}
