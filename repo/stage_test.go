package repo_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// TestStageIsInterrupted: by a person, or by who writes to the file meanwhile. Nothing of it
// stays, dry or not.
func TestStageIsInterrupted(t *testing.T) {
	t.Parallel()
	for _, dry := range []bool{false, true} {
		base, _ := repotest.New(t, true)
		r := repo.Open(base.Dir(), repo.Options{DryRun: dry})
		file := repotest.Folder(t) + "/f"
		writeAt(t, file, strings.Repeat("x", 5<<20))
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := r.Stage(ctx, file, func(int64, int64) { cancel() }); !errors.Is(err, context.Canceled) {
			t.Errorf("dry %v: %v", dry, err)
		}
		grows := func(int64, int64) {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("more")
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Error(err)
			}
		}
		var bad *repo.ContentError
		if _, err := r.Stage(t.Context(), file, grows); !errors.As(err, &bad) || !strings.Contains(bad.Reason, "while it was read") {
			t.Errorf("dry %v: %v", dry, err)
		}
		if found, _ := os.ReadDir(r.Dir() + "/pending/content"); len(found) > 0 {
			t.Errorf("dry %v: %v stays", dry, found)
		}
	}
}
