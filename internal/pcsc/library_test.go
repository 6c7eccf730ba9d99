//go:build cgo && linux

package pcsc_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-piv/piv-go/v2/piv"

	"github.com/fleet-hsm/fleet-hsm/internal/pcsc"
)

// TestWithoutLibrary: where libpcsclite cannot be loaded the program runs, says so, and
// neither our calls nor piv-go's end it.
func TestWithoutLibrary(t *testing.T) {
	if os.Getenv("LD_LIBRARY_PATH") == os.Getenv("PCSC_BROKEN") && os.Getenv("PCSC_BROKEN") != "" {
		var missing *pcsc.LibraryError
		if err := pcsc.Loaded(); !errors.As(err, &missing) || !strings.Contains(missing.Why, "libpcsclite.so.1") {
			t.Errorf("loaded: %v", err)
		}
		if _, err := pcsc.Connect("any"); code(err) != 0x8010001D {
			t.Errorf("our call: %v", err)
		}
		if _, err := piv.Cards(); err == nil {
			t.Error("piv-go's call finds a library")
		}
		return
	}
	if err := pcsc.Loaded(); err != nil {
		t.Errorf("here: %v", err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "libpcsclite.so.1"), []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestWithoutLibrary$", "-test.v")
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+dir, "PCSC_BROKEN="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS: TestWithoutLibrary") {
		t.Errorf("%v\n%s", err, out)
	}
}
