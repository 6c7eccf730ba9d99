package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/bundle"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

func ids(keys []meta.Key) []tuf.KeyID {
	var out []tuf.KeyID
	for _, k := range keys {
		out = append(out, k.ID)
	}
	return out
}

// offered is a repository at root v3 with a change of root and targets on top of it, as
// another machine gets it.
type offered struct {
	r      *repo.Repo
	kr     repotest.Keyring
	p      *repo.Published
	change *repo.Change
	x      bundle.Bundle
	// root1 and root3 signed root v1 and root v3; root4 is the new one.
	root1, root3, root4 meta.Key
}

func newOffered(t *testing.T) offered {
	t.Helper()
	r, kr := repotest.New(t, true)
	repotest.Add(t, r, kr, "one", meta.Item{Name: "orbit", Platform: "linux", Version: "1.0.0", Channels: []string{"stable"}})
	o := offered{r: r, kr: kr, root1: repotest.Load(t, r).Root.Keys(meta.RoleRoot)[0]}
	for range 2 {
		p := repotest.Load(t, r)
		o.root3 = kr.Make(t)
		c, err := edit.Rotate(r, p, nil, edit.Rotation{Role: meta.RoleRoot, Set: []meta.Key{o.root3}}, repo.StageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		kr.Publish(t, r, p, c)
	}
	o.p = repotest.Load(t, r)
	o.root4 = kr.Make(t)
	c, err := edit.Rotate(r, o.p, nil, edit.Rotation{Role: meta.RoleRoot, Set: []meta.Key{o.root4}}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = edit.Rotate(r, o.p, c, edit.Rotation{Role: meta.RoleTargets, Set: []meta.Key{kr.Make(t)}}, repo.StageOptions{}); err != nil {
		t.Fatal(err)
	}
	if o.x, err = bundle.Export(r, o.p, c); err != nil {
		t.Fatal(err)
	}
	o.change = c
	return o
}

func TestImportTakesWhatWasExported(t *testing.T) {
	o := newOffered(t)
	im, err := bundle.Import("request", o.x, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var versions []int64
	for _, l := range im.Chain {
		versions = append(versions, l.Version)
	}
	if !slices.Equal(versions, []int64{1, 2, 3}) {
		t.Errorf("the chain holds roots %v; want 1, 2, 3", versions)
	}
	for i, d := range im.Change.Docs() {
		want := o.change.Docs()[i]
		if d.Role() != want.Role() || d.Version() != want.Version() || d.Hash() != want.Hash() {
			t.Errorf("%s v%d %s; want %s v%d %s", d.Role(), d.Version(), d.Hash(), want.Role(), want.Version(), want.Hash())
		}
		if len(d.Keys()) != len(want.Keys()) {
			t.Errorf("%s may be signed by %v; want %v", d.Role(), ids(d.Keys()), ids(want.Keys()))
		}
	}
}

// TestImportRefuses alters one thing of a request at a time. Whoever alters it holds
// every key but the one that would make it right.
func TestImportRefuses(t *testing.T) {
	o := newOffered(t)
	// twice lists the first root key under a second key ID.
	var second tuf.KeyID
	twice := func(signed map[string]any) {
		role := signed["roles"].(map[string]any)["root"].(map[string]any)
		keys := signed["keys"].(map[string]any)
		id := parseID(t, role["keyids"].([]any)[0].(string))
		object := maps.Clone(keys[id.String()].(map[string]any))
		delete(object, "keyid_hash_algorithms")
		second = keyID(t, object)
		keys[second.String()] = object
		role["keyids"] = append(role["keyids"].([]any), second)
		o.kr[second] = o.kr[id]
	}
	for name, alter := range map[string]func(x *bundle.Bundle){
		"a root of the chain is missing": func(x *bundle.Bundle) { x.Roots = slices.Delete(x.Roots, 1, 2) },
		"a root skips a number": func(x *bundle.Bundle) {
			x.Roots = []json.RawMessage{x.Roots[0], o.kr.Resign(t, x.Roots[1], repotest.SetTo("version", 3), o.root1.ID, o.rootKey(t, 2))}
		},
		"one public key signs twice, and two must": func(x *bundle.Bundle) {
			// A third key, so that root itself is one that could be met.
			third := o.root1
			edit := func(signed map[string]any) {
				twice(signed)
				role := signed["roles"].(map[string]any)["root"].(map[string]any)
				role["threshold"] = 2
				role["keyids"] = append(role["keyids"].([]any), third.ID)
				signed["keys"].(map[string]any)[third.ID.String()] = o.keyObject(t, x.Roots[0], third.ID)
			}
			o.kr.Resign(t, x.Roots[2], edit) // names the second key ID
			x.Roots[2] = o.kr.Resign(t, x.Roots[2], edit, o.rootKey(t, 2), o.root3.ID, second)
		},
		"the chain is in the wrong order": func(x *bundle.Bundle) { slices.Reverse(x.Roots) },
		"a root stands twice":             func(x *bundle.Bundle) { x.Roots = slices.Insert(x.Roots, 1, x.Roots[0]) },
		"the root before did not sign":    func(x *bundle.Bundle) { x.Roots[1] = o.kr.Resign(t, x.Roots[1], repotest.Same, o.rootKey(t, 2)) },
		"a root is not signed by itself":  func(x *bundle.Bundle) { x.Roots[0] = o.kr.Resign(t, x.Roots[0], repotest.Same, o.root3.ID) },
		"a root is larger than clients take": func(x *bundle.Bundle) {
			x.Roots[0] = append(x.Roots[0], bytes.Repeat([]byte(" "), meta.MaxRootSize)...)
		},
		"a root is no metadata":                func(x *bundle.Bundle) { x.Roots[0] = json.RawMessage(`{"signed":7}`) },
		"more roots than clients follow":       func(x *bundle.Bundle) { x.Roots = slices.Repeat(x.Roots[:1], repo.MaxRoots+1) },
		"no published targets":                 func(x *bundle.Bundle) { x.Published = nil },
		"published targets without their role": func(x *bundle.Bundle) { x.Published = o.kr.Resign(t, x.Published, repotest.Same, o.root3.ID) },
		"published targets are altered": func(x *bundle.Bundle) {
			x.Published = bytes.Replace(x.Published, []byte(`1.0.0"}`), []byte(`1.0.9"}`), 1)
		},
		"published targets are no metadata": func(x *bundle.Bundle) { x.Published = json.RawMessage(`[]`) },
		"published targets without a root": func(x *bundle.Bundle) {
			x.Roots, x.Root, x.Targets = nil, nil, nil
		},
		"published targets are too large": func(x *bundle.Bundle) {
			x.Published = append(x.Published, bytes.Repeat([]byte(" "), bundle.MaxTargets)...)
		},
		"nothing to sign":             func(x *bundle.Bundle) { x.Root, x.Targets = nil, nil },
		"the new root skips one":      func(x *bundle.Bundle) { x.Root = o.kr.Resign(t, x.Root, repotest.SetTo("version", 5)) },
		"the new root is a published": func(x *bundle.Bundle) { x.Root = o.kr.Resign(t, x.Root, repotest.SetTo("version", 3)) },
		"the new targets jump far": func(x *bundle.Bundle) {
			x.Targets = o.kr.Resign(t, x.Targets, repotest.SetTo("version", 2+tuf.MaxJump+1))
		},
		"the new targets go back":   func(x *bundle.Bundle) { x.Targets = o.kr.Resign(t, x.Targets, repotest.SetTo("version", 1)) },
		"the new root is too large": func(x *bundle.Bundle) { x.Root = append(x.Root, bytes.Repeat([]byte(" "), meta.MaxRootSize)...) },
		"the new root is a targets": func(x *bundle.Bundle) { x.Root = x.Targets },
		"the new targets is a root": func(x *bundle.Bundle) { x.Targets = x.Root },
		"one public key counts twice": func(x *bundle.Bundle) {
			x.Root = o.kr.Resign(t, x.Root, twice)
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := o.x
			x.Roots = slices.Clone(x.Roots)
			alter(&x)
			_, err := bundle.Import("request", x, time.Now())
			var bad *meta.FileError
			if !errors.As(err, &bad) && !errors.Is(err, meta.ErrRefused) {
				t.Errorf("Import: %v; want a *FileError", err)
			}
		})
	}
}

// rootKey is the key that root version v names.
func (o offered) rootKey(t *testing.T, v int) tuf.KeyID {
	t.Helper()
	var env struct {
		Signed struct {
			Roles map[string]struct {
				KeyIDs []tuf.KeyID `json:"keyids"`
			} `json:"roles"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(o.x.Roots[v-1], &env); err != nil {
		t.Fatal(err)
	}
	return env.Signed.Roles["root"].KeyIDs[0]
}

// keyObject is a key as a root lists it.
func (o offered) keyObject(t *testing.T, root json.RawMessage, id tuf.KeyID) any {
	t.Helper()
	var env struct {
		Signed struct {
			Keys map[string]any `json:"keys"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(root, &env); err != nil || env.Signed.Keys[id.String()] == nil {
		t.Fatalf("root lists no key %s (%v)", id, err)
	}
	return env.Signed.Keys[id.String()]
}

func keyID(t *testing.T, object map[string]any) tuf.KeyID {
	t.Helper()
	b, err := cjson.EncodeCanonical(object)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return parseID(t, hex.EncodeToString(sum[:]))
}

func parseID(t *testing.T, s string) tuf.KeyID {
	t.Helper()
	id, err := tuf.ParseKeyID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestImportLooksAtTheClock(t *testing.T) {
	o := newOffered(t)
	for name, c := range map[string]struct {
		alter   func(x *bundle.Bundle)
		at      time.Duration
		refused bool
	}{
		"in time":               {at: 0},
		"the new root expired":  {at: 200_000 * time.Hour, refused: true},
		"the new targets alone": {at: 50_000 * time.Hour, refused: true},
		"an expired root published, and a new one offered": {
			alter: func(x *bundle.Bundle) {
				x.Roots[2] = o.kr.Resign(t, x.Roots[2], repotest.SetTo("expires", "2020-01-01T00:00:00Z"), o.rootKey(t, 2), o.root3.ID)
			},
		},
		"an expired root published, and targets offered": {
			alter: func(x *bundle.Bundle) {
				x.Roots[2] = o.kr.Resign(t, x.Roots[2], repotest.SetTo("expires", "2020-01-01T00:00:00Z"), o.rootKey(t, 2), o.root3.ID)
				x.Root = nil
			},
			refused: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := o.x
			x.Roots = slices.Clone(x.Roots)
			if c.alter != nil {
				c.alter(&x)
			}
			_, err := bundle.Import("request", x, time.Now().Add(c.at))
			var expired *meta.ExpiredError
			if errors.As(err, &expired) != c.refused || !c.refused && err != nil {
				t.Errorf("Import: %v; refused should be %v", err, c.refused)
			}
		})
	}
}

func TestImportDropsSignaturesThatDoNotCount(t *testing.T) {
	o := newOffered(t)
	x := o.x
	// A right one, a stranger's, and one of the right key over other bytes.
	stranger := o.kr.Make(t)
	good := o.kr.Resign(t, x.Root, repotest.Same, o.root3.ID, stranger.ID)
	other := o.kr.Resign(t, x.Root, repotest.SetTo("version", 7), o.root4.ID)
	var a, b struct {
		Signatures []json.RawMessage `json:"signatures"`
		Signed     json.RawMessage   `json:"signed"`
	}
	if err := errors.Join(json.Unmarshal(good, &a), json.Unmarshal(other, &b)); err != nil {
		t.Fatal(err)
	}
	a.Signatures = append(a.Signatures, b.Signatures...)
	a.Signatures = append(a.Signatures, a.Signatures[0]) // and the right one again
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	x.Root = raw
	im, err := bundle.Import("request", x, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	d := im.Change.Doc(meta.RoleRoot)
	if !d.Signed(o.root3.ID) || d.Signed(o.root4.ID) || d.Signed(stranger.ID) {
		t.Errorf("signed by root3 %v, root4 %v, a stranger %v; want the first alone", d.Signed(o.root3.ID), d.Signed(o.root4.ID), d.Signed(stranger.ID))
	}
	if len(im.Change.Warnings) != 3 {
		t.Errorf("warnings %q; want one for each signature that was dropped", im.Change.Warnings)
	}
	if im.Change.Met() {
		t.Error("one of two signatures is said to be enough")
	}
	signed, err := im.Change.Envelopes()
	if err != nil {
		t.Fatal(err)
	}
	var kept struct {
		Signatures []struct {
			KeyID string `json:"keyid"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(signed.Root, &kept); err != nil || len(kept.Signatures) != 1 {
		t.Errorf("%d signatures were kept (%v); want 1", len(kept.Signatures), err)
	}
}

func TestTrust(t *testing.T) {
	o := newOffered(t)
	other := newOffered(t)
	whole := o.x
	late := o.x
	late.Roots = late.Roots[1:] // begins with root v2
	latest := o.x
	latest.Roots = latest.Roots[2:]
	for name, c := range map[string]struct {
		x       bundle.Bundle
		trusted json.RawMessage
		moved   bool
		bad     bool
	}{
		"the first of the chain":           {x: whole, trusted: o.x.Roots[0]},
		"one in the middle":                {x: whole, trusted: o.x.Roots[1]},
		"the published one":                {x: whole, trusted: o.x.Roots[2]},
		"the one before the chain":         {x: late, trusted: o.x.Roots[0]},
		"two before the chain":             {x: latest, trusted: o.x.Roots[0], bad: true},
		"another repository's first":       {x: whole, trusted: other.x.Roots[0], bad: true},
		"another repository's one before":  {x: late, trusted: other.x.Roots[0], bad: true},
		"another repository's published":   {x: whole, trusted: other.x.Roots[2], bad: true},
		"a newer root than the change has": {x: olderThan(t, o), trusted: o.x.Roots[2], moved: true},
		"no root at all":                   {x: whole, trusted: o.x.Published, bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			im, err := bundle.Import("request", c.x, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			err = im.Trust("trusted.json", c.trusted)
			var bad *meta.FileError
			var refused *meta.RefusedError
			switch {
			case c.bad && !errors.As(err, &bad), c.moved && (!errors.As(err, &refused) || refused.Kind != meta.PublishedMoved):
				t.Errorf("Trust: %v; want metadata refused %v, moved %v", err, c.bad, c.moved)
			case !c.bad && !c.moved && err != nil:
				t.Errorf("Trust: %v", err)
			}
		})
	}
}

// olderThan gives a request that was made while root v2 was published.
func olderThan(t *testing.T, o offered) bundle.Bundle {
	t.Helper()
	x := o.x
	x.Roots = x.Roots[:2]
	x.Root = o.kr.Resign(t, o.x.Root, repotest.SetTo("version", 3))
	return x
}

func TestForeign(t *testing.T) {
	o := newOffered(t)
	im, err := bundle.Import("request", o.x, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := func(name string, r *repo.Repo, p *repo.Published, im *bundle.Verified, kind meta.RefusedKind) {
		t.Helper()
		err := bundle.CheckOrigin(r, p, im)
		var refused *meta.RefusedError
		if kind == "" && err != nil || kind != "" && (!errors.As(err, &refused) || refused.Kind != kind) {
			t.Errorf("%s: %v; want %q", name, err, kind)
		}
	}
	want("its own repository", o.r, o.p, im, "")
	other := newOffered(t)
	want("another repository of the same versions", other.r, other.p, im, meta.ForeignChange)
	want("nothing published here", o.r, nil, im, meta.ForeignChange)

	older, err := bundle.Import("request", olderThan(t, o), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want("made on an older root", o.r, o.p, older, meta.PublishedMoved)

	repotest.Add(t, o.r, o.kr, "two", meta.Item{Name: "orbit", Platform: "linux", Version: "2.0.0"})
	want("made on older targets", o.r, repotest.Load(t, o.r), im, meta.PublishedMoved)

	unborn := o.x
	unborn.Roots, unborn.Published, unborn.Targets = nil, nil, nil
	unborn.Root = o.kr.Resign(t, o.x.Root, repotest.SetTo("version", 1))
	init, err := bundle.Import("request", unborn, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want("a repository that is only being made", o.r, o.p, init, meta.ForeignChange)
	want("an init where nothing is", o.r, nil, init, "")
}
