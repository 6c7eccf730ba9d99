package store

import (
	"os"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// scratch is a folder for what the tests build; set once by TestMain.
var scratch string

func TestMain(m *testing.M) {
	s3test.Setenv()
	if job := os.Getenv("STORE_TEST_PUBLISH"); job != "" {
		publishAndExit(job)
	}
	var err error
	if scratch, err = os.MkdirTemp("", "store-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// kinds runs a test on a fresh folder and on a fresh bucket.
func kinds(t *testing.T, f func(t *testing.T, s Store)) {
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		f(t, openTest(t, folderURL(t), OpenOptions{}))
	})
	t.Run("bucket", func(t *testing.T) {
		t.Parallel()
		f(t, openTest(t, s3test.Start(t).URL("fleet"), OpenOptions{}))
	})
}

func folderURL(t testing.TB) string { return "file://" + t.TempDir() }

func openTest(t testing.TB, url string, o OpenOptions) Store {
	t.Helper()
	loc, err := Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(loc, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
