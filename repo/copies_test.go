package repo_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"slices"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
)

// twoHolders is a repository whose root three P-256 keys sign, two at a time, with a
// staged change and a way to get copies of it.
func twoHolders(t *testing.T) (r *repo.Repo, keys []meta.Key, sign func(c *repo.Change, i int), staged func() *repo.Change) {
	t.Helper()
	r, kr := repotest.New(t, true)
	priv := map[tuf.KeyID]*ecdsa.PrivateKey{}
	for range 3 {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, err := meta.NewKey(&k.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		keys, priv[key.ID] = append(keys, key), k
	}
	sign = func(c *repo.Change, i int) {
		t.Helper()
		sig, err := wiresig.Sign(priv[keys[i].ID], c.Doc("root").Payload())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Doc("root").AddSignature(keys[i].ID, sig); err != nil {
			t.Fatal(err)
		}
	}
	p := repotest.Load(t, r)
	c, err := edit.Rotate(r, p, nil, edit.Rotation{Role: "root", Set: keys, Threshold: 2}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kr.Sign(t, c.Doc("root")) // the published root's key
	if err := r.Save(c); err != nil {
		t.Fatal(err)
	}
	staged = func() *repo.Change {
		t.Helper()
		c, err := r.Staged(p)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return r, keys, sign, staged
}

// TestMerge: copies that were signed apart come together to the same bytes in any order
// and any number of times, although ECDSA signs differently each time.
func TestMerge(t *testing.T) {
	_, keys, sign, staged := twoHolders(t)
	var copies []*repo.Change
	for _, who := range [][]int{{0}, {1}, {0, 1}, {2, 0}} {
		c := staged()
		for _, i := range who {
			sign(c, i)
		}
		copies = append(copies, c)
	}
	var want []byte
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 1, 3, 0, 2, 3}} {
		c := staged()
		for _, i := range order {
			if _, err := c.Merge(copies[i]); err != nil {
				t.Fatal(err)
			}
		}
		got, err := c.Envelopes()
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got.Root
		}
		if string(got.Root) != string(want) {
			t.Errorf("merged in the order %v the bytes differ", order)
		}
		for _, k := range keys {
			if !c.Doc("root").Signed(k.ID) {
				t.Errorf("the signature of key %s is lost", k.ShortID())
			}
		}
		if !c.Met() {
			t.Error("all have signed, and it is not enough")
		}
	}
	c := staged()
	sign(c, 0)
	m, err := c.Merge(copies[2])
	if err != nil || !slices.Equal(m["root"].Added, []tuf.KeyID{keys[1].ID}) || !slices.Contains(m["root"].Known, keys[0].ID) {
		t.Errorf("told %+v, %v", m, err)
	}
}

// TestMergeOfAnotherChange: nothing is taken of a copy whose documents are not the same.
func TestMergeOfAnotherChange(t *testing.T) {
	r, _, sign, staged := twoHolders(t)
	p := repotest.Load(t, r)
	kr := repotest.Keyring{}
	both, err := edit.Rotate(r, p, staged(), edit.Rotation{Role: "targets", Set: []meta.Key{kr.Make(t)}}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := edit.Rotate(r, p, nil, edit.Rotation{Role: "root", Threshold: 1, Add: []meta.Key{kr.Make(t)}}, repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	targets, err := edit.Renew(r, p, nil, "targets", repo.StageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	mine := staged()
	for name, c := range map[string]*repo.Change{"with targets besides": both, "of another root": other, "of targets alone": targets} {
		if _, err := mine.Merge(c); !repotest.KindIs(meta.OtherChange)(err) {
			t.Errorf("a copy %s: %v", name, err)
		}
		if _, err := c.Merge(mine); !repotest.KindIs(meta.OtherChange)(err) {
			t.Errorf("into one %s: %v", name, err)
		}
	}
	before, _ := mine.Envelopes()
	sign(mine, 0)
	if after, _ := mine.Envelopes(); string(before.Root) == string(after.Root) {
		t.Error("a signature leaves no trace")
	}
}
