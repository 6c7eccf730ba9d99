//go:build unix

package owned

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// asRoot gives up where folders cannot be given to another user. The tests of this
// project run as root in CI, and there it is never given up.
func asRoot(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 && os.Getenv("CI") == "" {
		t.Log("not run: only root can give a folder to another user")
		return false
	}
	return true
}

// TestWhose: each way in which a file, a link or a folder above them is somebody
// else's, and each in which it is not.
func TestWhose(t *testing.T) {
	t.Parallel()
	if !asRoot(t) {
		return
	}
	const stranger = 54321
	do := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		make func(dir string) string // in dir/a/b/file; gives the path to check
		want string                  // in the error; "" for none
	}{
		"all one's own":               {func(d string) string { return d + "/a/b/file" }, ""},
		"file of a stranger":          {func(d string) string { do(os.Chown(d+"/a/b/file", stranger, 0)); return d + "/a/b/file" }, "it belongs to user 54321"},
		"folder of a stranger":        {func(d string) string { do(os.Chown(d+"/a/b", stranger, 0)); return d + "/a/b/file" }, `/a/b" belongs to user 54321`},
		"folder above, the same":      {func(d string) string { do(os.Chown(d+"/a", stranger, 0)); return d + "/a/b/file" }, `/a" belongs to user 54321`},
		"file for all":                {func(d string) string { do(os.Chmod(d+"/a/b/file", 0o646)); return d + "/a/b/file" }, "it is writable by others (mode 0646)"},
		"folder for all":              {func(d string) string { do(os.Chmod(d+"/a/b", 0o777)); return d + "/a/b/file" }, `/a/b" is writable by others (mode 0777)`},
		"folder above for all":        {func(d string) string { do(os.Chmod(d+"/a", 0o757)); return d + "/a/b/file" }, `/a" is writable by others (mode 0757)`},
		"sticky folder above":         {func(d string) string { do(os.Chmod(d+"/a", 0o777|os.ModeSticky)); return d + "/a/b/file" }, ""},
		"sticky folder":               {func(d string) string { do(os.Chmod(d+"/a/b", 0o777|os.ModeSticky)); return d + "/a/b/file" }, `/a/b" is a folder that anybody may write to`},
		"code that a group may write": {func(d string) string { do(os.Chmod(d+"/a/b/file", 0o775)); return d + "/a/b/file" }, "it is writable by others (mode 0775)"},
		"root's group may write":      {func(d string) string { do(os.Chmod(d+"/a/b", 0o775)); return d + "/a/b/file" }, ""},
		"a group may write":           {func(d string) string { do(os.Chown(d+"/a/b", 0, 1), os.Chmod(d+"/a/b", 0o775)); return d + "/a/b/file" }, `is writable by others (mode 0775)`},
		"an unknown group may": {func(d string) string {
			do(os.Chown(d+"/a/b", 0, stranger), os.Chmod(d+"/a/b", 0o775))
			return d + "/a/b/file"
		}, `is writable by others (mode 0775)`},
		"one's own link":            {func(d string) string { do(os.Symlink("a/b/file", d+"/link")); return d + "/link" }, ""},
		"absolute link to a folder": {func(d string) string { do(os.Symlink(d+"/a/../a/b/.", d+"/link")); return d + "/link/file" }, ""},
		"link of a stranger": {func(d string) string {
			do(os.Symlink("a/b/file", d+"/link"), os.Lchown(d+"/link", stranger, 0))
			return d + "/link"
		}, `it belongs to user 54321`},
		"link into a stranger's folder": {func(d string) string {
			do(os.Chown(d+"/a/b", stranger, 0), os.Symlink("a/b/file", d+"/link"))
			return d + "/link"
		}, `/a/b" belongs to user 54321`},
		"link over links": {func(d string) string { do(os.Symlink("y", d+"/x"), os.Symlink("x", d+"/y")); return d + "/x" }, "too many symbolic links"},
		"not there":       {func(d string) string { return d + "/a/none" }, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			do(os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755), os.WriteFile(filepath.Join(dir, "a", "b", "file"), []byte("x"), 0o644))
			path := c.make(dir)
			got, err := Check(path, Options{Code: true})
			if c.want == "" {
				if err != nil || got != filepath.Join(dir, "a", "b", "file") {
					t.Errorf("%q, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
	// One's own file right in /tmp cannot be replaced by others.
	f, err := os.CreateTemp("/tmp", "owned-")
	do(err)
	defer func() { do(f.Close(), os.Remove(f.Name())) }()
	if _, err := Check(f.Name(), Options{}); err != nil {
		t.Error(err)
	}
}
