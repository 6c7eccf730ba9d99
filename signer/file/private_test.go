package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// fixed is a file of a file system with fixed modes.
type fixed struct {
	fs.FileInfo
	file, dir fs.FileMode
}

func (f fixed) Mode() fs.FileMode {
	if f.IsDir() {
		return f.dir | fs.ModeDir
	}
	return f.file
}

// TestFixedModes: what each mount option means for key files, and that the look leaves
// nothing behind.
func TestFixedModes(t *testing.T) {
	for name, c := range map[string]struct {
		file, dir fs.FileMode
		want      uint32 // of what is wrong; 0 for nothing
	}{
		"umask=000":           {0o777, 0o777, 0o600},
		"umask=022":           {0o755, 0o755, 0o600},
		"umask=027":           {0o750, 0o750, 0o600},
		"fmask=177,dmask=000": {0o600, 0o777, 0o700},
		"fmask=177,dmask=020": {0o600, 0o757, 0o700},
		"fmask=177,dmask=022": {0o600, 0o755, 0},
		"umask=077":           {0o700, 0o700, 0},
	} {
		dir := t.TempDir()
		err := tryPrivate(filepath.Join(dir, "keys", "root.json"), func(path string) (fs.FileInfo, error) {
			st, err := os.Stat(path)
			return fixed{st, c.file, c.dir}, err
		})
		var fm *signer.FileModeError
		if errors.As(err, &fm) != (c.want != 0) || fm != nil && (fm.Want != c.want || !fm.Fixed) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: %q is left", name, left[0].Name())
		}
	}
	u, _ := Kind().Parse("file:keys/root.json")
	if err := New(t.TempDir()).KeepsPrivate(u); err != nil {
		t.Errorf("an ordinary file system: %v", err)
	}
}
