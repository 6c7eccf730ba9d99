package remote

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// TestCheckApart: a folder is never published into itself, however it is named.
func TestCheckApart(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	own := filepath.Join(top, "updates")
	for _, dir := range []string{"repository", "keys", "pending", "www"} {
		if err := os.MkdirAll(filepath.Join(own, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(top, "link")
	if err := os.Symlink(own, link); err != nil {
		t.Fatal(err)
	}
	for path, refused := range map[string]bool{
		own: true, link: true, filepath.Join(own, "."): true,
		filepath.Join(own, "repository"): true, filepath.Join(own, "keys", "not", "yet"): true, filepath.Join(link, "staged"): true,
		filepath.Join(own, "www"): false, filepath.Join(top, "www"): false, top: false,
		"": false, // a bucket
	} {
		err := CheckApart(own, store.Location{Path: path})
		if (err != nil) != refused || refused && !errors.As(err, new(*misuse.Error)) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// TestTrustedRoot: a URL says nothing of whom to trust, a folder has its oldest root, and a
// file that was named goes before both.
func TestTrustedRoot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	named := filepath.Join(t.TempDir(), "named.json")
	for name, text := range map[string]string{filepath.Join(dir, "2.root.json"): "two", filepath.Join(dir, "10.root.json"): "ten", named: "named"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		source, file, root, oldest string
	}{
		{dir, named, "named", ""},
		{"https://updates.example.com", named, "named", ""},
		{dir, "", "two", filepath.Join(dir, "2.root.json")},
	} {
		root, oldest, err := TrustedRoot(c.source, c.file)
		if string(root) != c.root || oldest != c.oldest || err != nil {
			t.Errorf("%+v: %q, %q, %v", c, root, oldest, err)
		}
	}
	for source, want := range map[string]error{t.TempDir(): repo.ErrNoRepository, filepath.Join(dir, "gone"): repo.ErrNoRepository} {
		if _, _, err := TrustedRoot(source, ""); !errors.Is(err, want) {
			t.Errorf("%q: %v", source, err)
		}
	}
	for _, c := range [][2]string{{"https://updates.example.com", ""}, {dir, filepath.Join(dir, "gone")}} {
		if _, _, err := TrustedRoot(c[0], c[1]); !errors.As(err, new(*misuse.Error)) {
			t.Errorf("%q: %v", c, err)
		}
	}
}

// TestFaults: what --fail-within is for is told from what is wrong.
func TestFaults(t *testing.T) {
	t.Parallel()
	findings := []verify.Finding{
		{Code: verify.CodeExpired, Severity: verify.Error}, {Code: verify.CodeClient, Severity: verify.Error},
		{Code: verify.CodeCopy, Severity: verify.Error}, {Code: verify.CodeCopy, Severity: verify.Warning},
	}
	for _, over := range []bool{true, false} {
		r := &Repository{Report: &verify.Report{Findings: findings, Roles: []verify.Role{{Name: "root", Expired: over}}}}
		expired, other := r.Faults()
		want := [2]int{1, 2}
		if over {
			want = [2]int{2, 1} // the client stopped at what is expired
		}
		if expired != want[0] || other != want[1] {
			t.Errorf("a role expired: %t: %d expired, %d other, want %v", over, expired, other, want)
		}
	}
}

func TestIsWebRoot(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	if err := os.Mkdir(filepath.Join(top, "repository"), 0o700); err != nil {
		t.Fatal(err)
	}
	web := filepath.Join(top, "repository")
	if IsWebRoot(top) || IsWebRoot(web) {
		t.Error("nothing is there yet")
	}
	for _, name := range []string{filepath.Join(web, "root.json"), filepath.Join(top, "root.json")} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if IsWebRoot(top) || !IsWebRoot(web) {
		t.Error("the working folder is not what is served, and repository/ is")
	}
}
