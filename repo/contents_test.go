//go:build unix

package repo_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestStageRefuses: what is no file with bytes cannot be published, and is told by name.
func TestStageRefuses(t *testing.T) {
	r, _ := repotest.New(t, true)
	dir := repotest.Folder(t)
	fifo, empty := filepath.Join(dir, "fifo"), filepath.Join(dir, "empty")
	if err := errors.Join(syscall.Mkfifo(fifo, 0o600), os.WriteFile(empty, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for file, reason := range map[string]string{
		dir: "is a directory", fifo: "is not a regular file", empty: "is empty", filepath.Join(dir, "none"): "cannot be read", "/dev/zero": "is not a regular file",
	} {
		_, err := r.Stage(t.Context(), file, nil)
		var refused *repo.ContentError
		if !errors.As(err, &refused) || refused.Path != file || refused.Reason != reason || !errors.Is(err, repo.ErrContent) {
			t.Errorf("%q: %v", file, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(r.Dir(), "pending", "content", "*")); len(left) > 0 {
		t.Errorf("refused, and left in pending/: %q", left)
	}
}

// TestStageLooksWhileItReads: a file that grows, is cut or is given up in between is not
// published in two halves.
func TestStageLooksWhileItReads(t *testing.T) {
	r, _ := repotest.New(t, true)
	file := filepath.Join(repotest.Folder(t), "f")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for name, c := range map[string]struct {
		meanwhile func()
		want      func(error) bool
	}{
		"nothing": {func() {}, func(err error) bool { return err == nil }},
		"grows":   {func() { appendTo(t, file, "more") }, func(err error) bool { return errors.Is(err, repo.ErrContent) }},
		"is cut": {func() {
			if err := os.Truncate(file, 5); err != nil {
				t.Error(err)
			}
		}, func(err error) bool { return errors.Is(err, repo.ErrContent) }},
		"is given up": {cancel, func(err error) bool { return errors.Is(err, context.Canceled) }},
	} {
		text := strings.Repeat("x", 9<<20)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		under := t.Context()
		if name == "is given up" {
			under = ctx
		}
		once := true
		var seen int64
		content, err := r.Stage(under, file, func(done, total int64) {
			seen = done
			if once {
				once = false
				c.meanwhile()
			}
			if total != int64(len(text)) {
				t.Errorf("%s: of %d bytes", name, total)
			}
		})
		if !c.want(err) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (content.Length != int64(len(text)) || seen != content.Length) {
			t.Errorf("%s: %d bytes, told %d", name, content.Length, seen)
		}
		if left, _ := filepath.Glob(filepath.Join(r.Dir(), "pending", "content", "tmp-*")); len(left) > 0 {
			t.Errorf("%s: left in pending/: %q", name, left)
		}
	}
}

func appendTo(t *testing.T, file, text string) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Error(err)
	}
}

// TestPublishedContent: a path below repository/targets names the published target in both
// layouts, whether or not a file of that name is there (DESIGN 4).
func TestPublishedContent(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		r, kr := repotest.New(t, consistent)
		repotest.Add(t, r, kr, "one", repotest.Item("1"))
		p := repotest.Load(t, r)
		link := filepath.Join(repotest.Folder(t), "here")
		if err := os.Symlink(r.Dir(), link); err != nil {
			t.Fatal(err)
		}
		target, _, err := p.Targets.Get("orbit/linux/1/orbit")
		if err != nil {
			t.Fatal(err)
		}
		hashed := "targets/orbit/linux/1/" + target.SHA512 + ".orbit"
		for name, file := range map[string]string{
			"its path":              repotest.WebPath(r, "targets/orbit/linux/1/orbit"),
			"with detours":          repotest.WebPath(r, "") + "/targets/./orbit/../orbit/linux/1/orbit",
			"by a link":             filepath.Join(link, "repository/targets/orbit/linux/1/orbit"),
			"its name with a hash":  repotest.WebPath(r, hashed),
			"that name, by a link,": filepath.Join(link, "repository", hashed),
		} {
			content, path, below, err := r.PublishedContent(p, file)
			if err != nil || !below || path != "orbit/linux/1/orbit" || content.SHA512 != target.SHA512 || content.Length != 3 {
				t.Errorf("%s: %+v, %q, below %v, %v", name, content, path, below, err)
				continue
			}
			f, err := r.OpenContent(p, content)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			data, _ := io.ReadAll(f)
			if _ = f.Close(); string(data) != "one" {
				t.Errorf("%s holds %q", name, data)
			}
		}
		for name, file := range map[string]string{
			"not named":               repotest.WebPath(r, "targets/orbit/linux/2/orbit"),
			"a hash of other content": repotest.WebPath(r, "targets/orbit/linux/1/"+strings.Repeat("0", 128)+".orbit"),
		} {
			if _, _, below, err := r.PublishedContent(p, file); !below || !errors.Is(err, repo.ErrContent) {
				t.Errorf("%s: below %v, %v", name, below, err)
			}
		}
		for _, file := range []string{repotest.WebPath(r, "targets"), repotest.WebPath(r, "root.json"), filepath.Join(r.Dir(), "orbit"), repotest.WebPath(r, "targetsx/orbit")} {
			if _, _, below, err := r.PublishedContent(p, file); below || err != nil {
				t.Errorf("%q: below %v, %v", file, below, err)
			}
		}
		for name := range repotest.CopyWeb(t, r) {
			if strings.HasPrefix(name, "targets/") {
				repotest.Remove(t, r, "repository/"+name)
			}
		}
		if _, _, _, err := r.PublishedContent(p, repotest.WebPath(r, "targets/orbit/linux/1/orbit")); !repotest.KindIs(meta.MissingContent)(err) {
			t.Errorf("its bytes are gone: %v", err)
		}
	})
}
