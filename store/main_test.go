package store

import (
	"context"
	"os"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/store/judge"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// client builds Fleet's client for the tests that ask it; its folder is TestMain's.
var client = &judge.Builder{}

func TestMain(m *testing.M) {
	s3test.Setenv()
	if job := os.Getenv("STORE_TEST_PUBLISH"); job != "" {
		publishAndExit(job)
	}
	var err error
	if client.Dir, err = os.MkdirTemp("", "store-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(client.Dir)
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

func newJudge(t testing.TB, s Store, root []byte) *judge.Judge {
	return client.New(t, func(ctx context.Context, name string) ([]byte, error) {
		o, err := Get(ctx, s, name, 1<<30)
		return o.Data, err
	}, root)
}
