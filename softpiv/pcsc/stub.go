package pcsc

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

//go:embed stub/pcsclite.c
var stubSource []byte

// buildStub makes dir/libpcsclite.so.1 with $CC (cc) and the headers of
// libpcsclite-dev.
func buildStub(dir string) error {
	source := filepath.Join(dir, "pcsclite.c")
	if err := os.WriteFile(source, stubSource, 0o600); err != nil {
		return err
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	args := append(headerFlags(), "-shared", "-fPIC", "-O1", "-pthread", "-Wl,-soname,libpcsclite.so.1",
		"-o", filepath.Join(dir, "libpcsclite.so.1"), source)
	out, err := exec.Command(cc, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the stand-in libpcsclite.so.1 with %q: %w\n%s", cc, err, out)
	}
	return nil
}

// headerFlags finds winscard.h as cgo does.
func headerFlags() []string {
	out, err := exec.Command("pkg-config", "--cflags", "libpcsclite").Output()
	if err != nil {
		return []string{"-I/usr/include/PCSC"}
	}
	return strings.Fields(string(out))
}

// Main runs a package's tests with the stand-in library loaded: the test binary is
// started again in the same process, with LD_LIBRARY_PATH set, and m runs there.
// Call it from TestMain and exit with its result.
func Main(m interface{ Run() int }) int {
	dir := os.Getenv(envStub)
	if dir == "" {
		fmt.Fprintln(os.Stderr, "softpiv:", restart())
		return 1
	}
	// Until a test says otherwise there is no PC/SC service at all, so that no test
	// reaches a card of the machine it runs on.
	_ = os.Unsetenv(envSocket)
	code := m.Run()
	_ = os.RemoveAll(dir)
	return code
}

// TB is what Use needs of a *testing.T.
type TB interface {
	Helper()
	Fatal(args ...any)
	Setenv(key, value string)
	Cleanup(f func())
}

// Use serves the cards to one test of a package whose TestMain calls [Main]: until
// the test ends, PC/SC calls of this process see these cards and no others.
func Use(t TB, cards ...*card.Card) *Server {
	t.Helper()
	if os.Getenv(envStub) == "" {
		t.Fatal(errors.New("pcsc.Use needs a TestMain that calls pcsc.Main"))
	}
	s, err := Serve(cards...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	t.Setenv(envSocket, s.Socket())
	return s
}
