package keyring

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/locator"
	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Keys that need nobody sign first, and nobody signs more than is needed.
func TestWhoSigns(t *testing.T) {
	t.Parallel()
	b := newBench(t, three, named{}, "a", "b", "c")
	kept := 0
	if err := b.ring.Sign(t.Context(), &crowd{}, b.doc(t, 2, "a", "b", "c"), func() error { kept++; return nil }); err != nil {
		t.Fatal(err)
	}
	if want := []string{"box:name=b", "card:name=a"}; !slices.Equal(b.log, want) && !slices.Equal(b.log, []string{"box:name=b", "card:name=c"}) {
		t.Errorf("signed by %q, want %q or the other card", b.log, want)
	}
	if kept != 2 {
		t.Errorf("kept %d times", kept)
	}
}

// What is absent is asked for if it can be inserted; what is short says who could sign.
func TestWhatIsAbsent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		absent []string
		insert func(b *bench) func([]signer.URI) bool
		short  bool
		device bool
	}{
		"nobody to ask": {absent: []string{"a", "c"}, short: true, device: true},
		"another time":  {absent: []string{"a", "c"}, insert: func(*bench) func([]signer.URI) bool { return func([]signer.URI) bool { return false } }, short: true, device: true},
		"it is inserted": {absent: []string{"a", "c"}, insert: func(b *bench) func([]signer.URI) bool {
			return func(at []signer.URI) bool { b.devices["c"].absent = false; return len(at) == 2 }
		}},
		"a box is not":      {absent: []string{"b", "a"}, short: true, device: true},
		"enough without it": {absent: []string{"c"}},
	} {
		b := newBench(t, three, named{}, "a", "b", "c")
		for _, d := range c.absent {
			b.devices[d].absent = true
		}
		ui := &crowd{}
		if c.insert != nil {
			ui.insert = c.insert(b)
		}
		err := b.ring.Sign(t.Context(), ui, b.doc(t, 2, "a", "b", "c"), nil)
		var short *ShortError
		var away *AbsentError
		if errors.As(err, &short) != c.short || errors.As(err, &away) != c.device || !c.short && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.short && (short.Have != 1 || short.Need != 2 || !errors.Is(err, signer.ErrNoToken)) {
			t.Errorf("%s: %+v, %v", name, short, err)
		}
	}
}

// Another key under a place that the configuration names is an error, and nothing is asked.
func TestAnotherKey(t *testing.T) {
	t.Parallel()
	b := newBench(t, `keys: {<a>: {uri: "card:name=b"}}`, named{}, "a", "b")
	ui := &crowd{}
	b.devices["b"].secret = true
	if err := b.ring.Sign(t.Context(), ui, b.doc(t, 1, "a"), nil); !errors.Is(err, signer.ErrKeyChanged) || len(ui.own) > 0 {
		t.Errorf("%v, asked %d times", err, len(ui.own))
	}
}

// A hint leads to a device that is here, and no general PIN is offered there; it opens no
// file and nothing that only means something on the machine of who said it.
func TestHints(t *testing.T) {
	t.Parallel()
	for uri, found := range map[string]bool{"card:name=a": true, "card:name=other": false, "file:name=a": false, "nosuch:name=a": false} {
		b := newBench(t, "", named{}, "a")
		b.devices["a"].secret = true
		at, err := locator.Parse(uri)
		if err != nil {
			t.Logf("%s: %v", uri, err)
		}
		b.ring.Hints = map[tuf.KeyID]Hint{b.keys["a"].ID: {URI: at, Said: uri}}
		ui := &crowd{}
		err = b.ring.Sign(t.Context(), ui, b.doc(t, 1, "a"), nil)
		if (err == nil) != found {
			t.Errorf("%s: %v", uri, err)
		}
		if found && !slices.Equal(ui.own, []bool{true}) {
			t.Errorf("%s: a general PIN may be offered: %v", uri, ui.own)
		}
		if err != nil && !strings.Contains(err.Error(), "as the request says") {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

// One source of a PIN is never offered to two tokens.
func TestOneSourceForTwoTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		src  named
		want bool
	}{
		"each its own":       {named{own: map[string]string{"a": "env:A", "c": "env:C"}}, true},
		"one for both":       {named{own: map[string]string{"a": "env:A", "c": "env:A"}}, false},
		"one file, two ways": {named{own: map[string]string{"a": "file:pin", "c": "file:./pin"}}, false},
		"a general one":      {named{general: "env:FLEET_ROOT_PIN"}, false},
		"typed":              {named{}, true},
	} {
		b := newBench(t, three, c.src, "a", "b", "c")
		err := b.ring.CheckPINSources(t.Context(), map[string][]meta.Key{meta.RoleRoot: {b.keys["a"], b.keys["c"]}})
		if (err == nil) != c.want || err != nil && (!errors.As(err, new(*misuse.Error)) || !strings.Contains(err.Error(), "card:name=a, card:name=c")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnOneDevice(t *testing.T) {
	t.Parallel()
	b := newBench(t, `keys: {<a>: {uri: "card:name=x;ref=1"}, <b>: {uri: "card:name=x;ref=2"}, <c>: {uri: "card:name=y"}}`, named{}, "a", "b", "c")
	for threshold, want := range map[int]int{1: 0, 2: 1, 3: 0} {
		if got := b.ring.OnOneDevice(rootOf(t, b, threshold), nil); len(got) != want {
			t.Errorf("threshold %d: %q", threshold, got)
		}
	}
}

func rootOf(t *testing.T, b *bench, threshold int) *meta.Root {
	t.Helper()
	keys := map[string][]meta.Key{}
	for _, role := range meta.Roles() {
		keys[role] = []meta.Key{b.keys["a"]}
	}
	keys[meta.RoleRoot] = []meta.Key{b.keys["a"], b.keys["b"], b.keys["c"]}
	c, err := repo.Open(t.TempDir(), repo.Options{Now: time.Now}).Init(repo.InitOptions{Keys: keys, Thresholds: map[string]int{"root": threshold, "targets": 1, "snapshot": 1, "timestamp": 1}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Root()
}

// A root key that may exist elsewhere too is refused, unless somebody says that it may.
func TestImported(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, c := range map[string]struct {
		info signer.KeyInfo
		want bool
	}{
		"born there":                {signer.KeyInfo{Origin: "generated"}, false},
		"imported into a card":      {signer.KeyInfo{Origin: "imported"}, true},
		"extractable":               {signer.KeyInfo{Extractable: &yes}, true},
		"not local":                 {signer.KeyInfo{Local: &no, NeverExtractable: &no}, true},
		"was extractable":           {signer.KeyInfo{NeverExtractable: &no}, true},
		"not local, never to leave": {signer.KeyInfo{Local: &no, NeverExtractable: &yes}, false},
		"says nothing":              {signer.KeyInfo{}, false},
	} {
		if got := Doubtful(c.info); (got != "") != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
	b := newBench(t, "", named{}, "a")
	b.devices["a"].origin = "imported"
	u, err := b.ring.opts.Kinds.Parse("card:name=a")
	if err != nil {
		t.Fatal(err)
	}
	b.cfg.File = filepath.Join(t.TempDir(), "fleet-hsm.yaml")
	plan := map[string][]signer.URI{meta.RoleRoot: {u}}
	if _, err := b.ring.NewMaker().Keys(t.Context(), &crowd{}, plan, MakeOptions{}); !errors.As(err, new(*ImportedError)) {
		t.Errorf("%v", err)
	}
	if _, err := b.ring.NewMaker().Keys(t.Context(), &crowd{}, plan, MakeOptions{AllowImported: true}); err != nil || b.cfg.Locations[b.keys["a"].ID].String() != "card:name=a" {
		t.Errorf("%v, kept as %v", err, b.cfg.Locations)
	}
	twice := map[string][]signer.URI{meta.RoleTargets: {u, u}}
	if _, err := b.ring.NewMaker().Keys(t.Context(), &crowd{}, twice, MakeOptions{}); !errors.As(err, new(*misuse.Error)) {
		t.Errorf("one key twice: %v", err)
	}
}

// The public part of a key from elsewhere is what its key ID says, and its place is no more
// than others may say.
func TestPublicFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t, "", named{}, "a")
	text, err := PublicPEM(b.keys["a"].Public)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(f *PublicFile)
		want   string // "" for taken
	}{
		"as it is":          {func(*PublicFile) {}, ""},
		"with its place":    {func(f *PublicFile) { f.URI = "card:name=a;ref=1" }, ""},
		"another key ID":    {func(f *PublicFile) { f.KeyID = tuf.KeyID{} }, "key ID"},
		"no schema of ours": {func(f *PublicFile) { f.Schema = 0 }, "key export"},
		"a newer one":       {func(f *PublicFile) { f.Schema = 2 }, "newer"},
		"no key":            {func(f *PublicFile) { f.Public = "x" }, "PEM"},
		"a module":          {func(f *PublicFile) { f.URI = "card:name=a?module-path=/x" }, "query"},
		"an unknown kind":   {func(f *PublicFile) { f.URI = "nosuch:name=a" }, "unknown scheme"},
		"another kind's":    {func(f *PublicFile) { f.URI = "card:slot=9c" }, "slot"},
		"a file by a trick": {func(f *PublicFile) { f.URI = "file:name=x" }, "others cannot say"},
	} {
		f := PublicFile{Schema: 1, KeyID: b.keys["a"].ID, Public: text}
		c.change(&f)
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "a.pub.json")
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		u, err := b.ring.opts.Kinds.Parse("pub:" + file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.ring.ReadPublic(u)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v; want %q", name, got, err, c.want)
		}
	}
}
