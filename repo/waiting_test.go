package repo_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestStagedOnDisk: a change waits, can be withdrawn to what was staged before, and is
// dropped with its content.
func TestStagedOnDisk(t *testing.T) {
	r, _ := repotest.New(t, true)
	if err := r.Discard(); !errors.Is(err, repo.ErrNothingStaged) {
		t.Errorf("discard of nothing: %v", err)
	}
	p, c, err := repotest.Put(t, r, "one", repotest.Item("1"))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := r.StagedFile(); data != nil || err != nil {
		t.Errorf("nothing is staged, and there is %q, %v", data, err)
	}
	if err := r.Save(c); err != nil || c.Fresh {
		t.Fatalf("%v, fresh %v", err, c.Fresh)
	}
	first, err := r.StagedFile()
	if err != nil {
		t.Fatal(err)
	}
	if c, err = edit.Renew(r, p, c, "root", repo.StageOptions{}); err != nil || !c.Fresh {
		t.Fatalf("%v, fresh %v", err, c.Fresh)
	}
	if err := r.Save(c); err != nil {
		t.Fatal(err)
	}
	if err := r.Withdraw(c, first); err != nil || !c.Fresh {
		t.Fatalf("%v, fresh %v", err, c.Fresh)
	}
	if now, _ := r.StagedFile(); string(now) != string(first) {
		t.Error("what was staged before is not back")
	}
	if err := r.DropContent(); err != nil {
		t.Fatal(err)
	}
	content := func() int { n, _ := filepath.Glob(filepath.Join(r.Dir(), "pending/content/*")); return len(n) }
	if content() != 1 {
		t.Error("the content of the staged change is gone")
	}
	for name, drop := range map[string]func() error{"withdrawn": func() error { return r.Withdraw(c, nil) }, "discarded": r.Discard} {
		if err := os.MkdirAll(filepath.Join(r.Dir(), "pending/content"), 0o700); err != nil {
			t.Fatal(err)
		}
		repotest.Write(t, r, "pending/content/x", "x")
		repotest.Write(t, r, "pending/change.json", string(first))
		if err := drop(); err != nil {
			t.Fatal(err)
		}
		if staged, err := r.HasStaged(); staged || err != nil || content() != 0 {
			t.Errorf("%s: staged %v, %d contents, %v", name, staged, content(), err)
		}
	}
	if err := os.MkdirAll(filepath.Join(r.Dir(), "pending/content"), 0o700); err != nil {
		t.Fatal(err)
	}
	repotest.Write(t, r, "pending/content/x", "x")
	if err := r.DropContent(); err != nil || content() != 0 {
		t.Errorf("content of no change: %d, %v", content(), err)
	}
}

// TestStagedFilesThatNobodyWrote: a staged change is somebody's file (DESIGN, hostile
// input).
func TestStagedFilesThatNobodyWrote(t *testing.T) {
	r, _ := repotest.New(t, true)
	p := repotest.Load(t, r)
	root, targets := repotest.Read(t, r, "repository/root.json"), repotest.Read(t, r, "repository/targets.json")
	for name, text := range map[string]string{
		"no JSON":               `{`,
		"no schema of ours":     `{"schema":0}`,
		"the published root":    `{"schema":1,"base_root":1,"base_targets":1,"root":` + root + `}`,
		"the published targets": `{"schema":1,"base_root":1,"base_targets":1,"targets":` + targets + `}`,
		"targets for root":      `{"schema":1,"base_root":1,"base_targets":1,"root":` + targets + `}`,
		"root for targets":      `{"schema":1,"base_root":1,"base_targets":1,"targets":` + root + `}`,
		"no metadata":           `{"schema":1,"base_root":1,"base_targets":1,"root":{"signed":1},"targets":{}}`,
	} {
		repotest.Write(t, r, "pending/change.json", text)
		if c, err := r.Staged(p); !errors.Is(err, meta.ErrMetadata) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	repotest.Write(t, r, "pending/change.json", `{"schema":1}`)
	if _, err := r.Staged(nil); !errors.Is(err, meta.ErrMetadata) {
		t.Errorf("an empty change where nothing is published: %v", err)
	}
	repotest.Write(t, r, "pending/change.json", `{"schema":1,"base_root":1}`)
	if _, err := r.Staged(nil); !repotest.KindIs(meta.PublishedMoved)(err) {
		t.Errorf("one on root v1 where nothing is published: %v", err)
	}
}
