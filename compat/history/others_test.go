package history

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// others are the judges that cannot be linked into this test, since each needs another
// version of go-tuf: the clients of v0.7.0 and of v2, as programs, by name.
type others map[string]string

// buildOthers builds the programs beside this package, and adds the one that the environment
// names.
func buildOthers(t *testing.T) others {
	t.Helper()
	dir := t.TempDir()
	found := others{}
	for _, name := range []string{"client07", "clientv2"} {
		bin := filepath.Join(dir, name)
		if out, err := exec.Command("go", "build", "-C", filepath.Join("..", name), "-o", bin, ".").CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", name, err, out)
		}
		found[name] = bin
	}
	if bin := os.Getenv("FLEET_HSM_JUDGE"); bin != "" {
		found["$FLEET_HSM_JUDGE"] = bin
	}
	return found
}

// meet lets every other judge look in one role. It keeps a state for each, so the one
// that saw the first history looks with that.
func (w *world) meet(role string) {
	w.t.Helper()
	root := filepath.Join(w.base, "first-root.json")
	w.must(os.WriteFile(root, w.firstRoot, 0o600))
	command := "all"
	if role == "fresh" {
		root = filepath.Join(w.dir, "repository", "root.json")
	}
	for name, bin := range w.others {
		state := filepath.Join(w.base, "state", name, role)
		w.must(os.MkdirAll(state, 0o700))
		out, err := exec.Command(bin, "--url", w.url, "--root", root, "--state", state, command).CombinedOutput()
		if err != nil {
			w.fail("%s, %s: %v\n%s", name, role, err, out)
		}
	}
}
