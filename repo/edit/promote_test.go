package edit_test

import (
	"errors"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

func TestPromoteRefusals(t *testing.T) {
	t.Parallel()
	r, kr := repotest.New(t, true)
	for _, it := range []meta.Item{
		{Name: "orbit", Platform: "linux", Version: "1", Channels: []string{"edge", "stable"}},
		{Name: "osqueryd", Platform: "linux", Version: "5", Channels: []string{"stable"}},
		{Name: "orbit", Platform: "linux", Version: "2", Channels: []string{"edge"}},
	} {
		repotest.Add(t, r, kr, it.Name+it.Version, it)
	}
	p := repotest.Load(t, r)
	var missing *edit.MissingError
	for _, c := range []struct {
		pr   edit.Promotion
		want func(error) bool
	}{
		{edit.Promotion{Version: "3", From: "edge", To: []string{"stable"}}, kindIs(meta.NotFound)},
		{edit.Promotion{Version: "2", From: "beta", To: []string{"stable"}}, kindIs(meta.NotFound)},
		{edit.Promotion{Version: "1", From: "edge", To: []string{"edge"}}, func(err error) bool { return errors.Is(err, meta.ErrName) }},
		{edit.Promotion{Version: "", From: "edge", To: []string{"stable"}}, func(err error) bool { return errors.Is(err, meta.ErrName) }},
		{edit.Promotion{Version: "2", From: "edge", To: []string{"stable"}}, func(err error) bool {
			return errors.As(err, &missing) && errors.Is(err, meta.ErrRefused) && len(missing.Missing) == 1
		}},
		{edit.Promotion{Version: "2", From: "edge", To: []string{"2"}}, kindIs(meta.NoChange)},
	} {
		if _, _, err := edit.Promote(r, p, nil, c.pr, repo.StageOptions{}); !c.want(err) {
			t.Errorf("%+v: %v", c.pr, err)
		}
	}
	for _, pr := range []edit.Promotion{
		{Version: "2", From: "edge", To: []string{"stable"}, AllowMissing: true},
		{Version: "2", From: "edge", To: []string{"stable"}, Names: []string{"orbit"}},
		{Version: "2", From: "edge", To: []string{"new"}},
	} {
		if _, moved, err := edit.Promote(r, p, nil, pr, repo.StageOptions{}); err != nil || len(moved) != 1 {
			t.Errorf("%+v: %v, %v", pr, moved, err)
		}
	}
}
