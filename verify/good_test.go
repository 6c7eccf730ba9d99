package verify_test

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// sharedRSA is made once per test binary: RSA keys are slow to make.
var sharedRSA = sync.OnceValue(func() *key { return rsaKey(3072) })

// good are repositories in which nothing is wrong.
func good() map[string]func(t testing.TB) *maker {
	return map[string]func(t testing.TB) *maker{
		"flat, ed25519": func(t testing.TB) *maker { return newMaker(t, false) },
		"consistent, P-256": func(t testing.TB) *maker {
			m := newMaker(t, true)
			m.roots[0] = allRoles(p256Key)
			return m
		},
		"consistent, thresholds 2 of 3, mixed keys": func(t testing.TB) *maker {
			m := newMaker(t, true)
			for _, r := range m.roots[0] {
				r.keys = []*key{ed25519Key(), p256Key(), sharedRSA()}
				r.threshold = 2
			}
			return m
		},
		"flat, every role rotated": func(t testing.TB) *maker {
			m := newMaker(t, false)
			m.rotate(p256Key, "root")
			m.rotate(ed25519Key, "targets")
			m.rotate(p256Key, "snapshot")
			m.rotate(sharedRSA, "timestamp")
			m.rotate(ed25519Key, "root")
			m.versions["timestamp"] = 9
			return m
		},
		"consistent, rotated, sha256 too": func(t testing.TB) *maker {
			m := newMaker(t, true)
			m.rotate(p256Key, "root", "targets", "snapshot", "timestamp")
			m.edit["targets"] = func(signed map[string]any) {
				for name, v := range signed["targets"].(map[string]any) {
					sum := sha256.Sum256([]byte(m.files[name]))
					v.(map[string]any)["hashes"].(map[string]any)["sha256"] = hex.EncodeToString(sum[:])
					dir, last := filepath.Split(name)
					m.put("targets/"+dir+hex.EncodeToString(sum[:])+"."+last, []byte(m.files[name]))
				}
			}
			return m
		},
		"flat, an old root expired, key IDs that are not hashes": func(t testing.TB) *maker {
			m := newMaker(t, false)
			m.roots[0]["targets"].keys[0].id = strings.Repeat("5e", 32)
			m.edit["1.root.json"] = func(signed map[string]any) { signed["expires"] = "2020-01-01T00:00:00Z" }
			m.rotate(ed25519Key, "root")
			return m
		},
		"empty": func(t testing.TB) *maker {
			m := newMaker(t, true)
			m.files = nil
			m.versions = map[string]int64{"timestamp": 1, "snapshot": 1, "targets": 1}
			return m
		},
	}
}

func TestGood(t *testing.T) {
	for name, build := range good() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := build(t)
			m.write()
			r := m.run(t)
			if len(r.Findings) > 0 || !r.OK() {
				t.Errorf("a good repository has findings:\n%s", list(r))
			}
			checkReport(t, m, r)
			for v := range m.roots {
				pinned := m.get(rootName(v + 1))
				r := m.run(t, func(o *verify.Options) { o.Root, o.AllTargets = pinned, false })
				if len(r.Findings) > 0 || r.PinnedRoot != int64(v+1) {
					t.Errorf("pinned to %d, a good repository has findings:\n%s", v+1, list(r))
				}
			}
		})
	}
}

func checkReport(t *testing.T, m *maker, r *verify.Report) {
	t.Helper()
	if r.Targets != len(m.files) || r.ConsistentSnapshot != m.consistent {
		t.Errorf("%d targets, consistent %v; want %d, %v", r.Targets, r.ConsistentSnapshot, len(m.files), m.consistent)
	}
	var total int64
	for _, content := range m.files {
		total += int64(len(content))
	}
	if r.Bytes < total {
		t.Errorf("%d bytes were read; the targets have %d", r.Bytes, total)
	}
	if len(r.Roots) != len(m.roots) || r.Clients != len(m.roots) {
		t.Errorf("roots %v, %d clients; want %d of each", r.Roots, r.Clients, len(m.roots))
	}
	want := map[string]int64{"root": int64(len(m.roots))}
	for role, v := range m.versions {
		want[role] = v
	}
	for role, version := range want {
		got, ok := r.Role(role)
		keys := m.last()[role]
		if !ok || got.Version != version || got.Expired || got.Expires.Before(m.now) ||
			got.Keys != len(keys.keys) || got.Threshold != keys.threshold || got.Signed != len(keys.keys) {
			t.Errorf("role %s: %+v", role, got)
		}
	}
}

func TestAt(t *testing.T) {
	m := newMaker(t, true)
	m.write()
	r := m.run(t, func(o *verify.Options) { o.At = m.now.AddDate(0, 0, 15) })
	var roles []string
	for _, f := range find(r, verify.CodeExpired) {
		roles = append(roles, f.Role)
	}
	if !slices.Equal(roles, []string{"timestamp"}) {
		t.Errorf("in 15 days expired: %v, want timestamp only\n%s", roles, list(r))
	}
	if got, _ := r.Role("timestamp"); !got.Expired {
		t.Error("the report does not say that timestamp is expired")
	}
	if len(find(r, verify.CodeClient)) == 0 {
		t.Error("go-tuf's client did not judge at the reference time")
	}
	r = m.run(t, func(o *verify.Options) { o.At = m.now.AddDate(11, 0, 0) })
	if n := len(find(r, verify.CodeExpired)); n != 4 {
		t.Errorf("in 11 years %d roles are expired, want 4", n)
	}
	if r = m.run(t, func(o *verify.Options) { o.At = m.now.Add(13 * 24 * time.Hour) }); !r.OK() {
		t.Errorf("in 13 days:\n%s", list(r))
	}
}

func TestWorkingDirectory(t *testing.T) {
	m := newMaker(t, false)
	m.rotate(ed25519Key, "root")
	m.write()
	above := filepath.Dir(m.dir)
	r := m.run(t, func(o *verify.Options) { o.Source = above })
	if len(r.Findings) > 0 || r.PinnedRoot != 1 {
		t.Errorf("pinned to %d:\n%s", r.PinnedRoot, list(r))
	}
	name, root, err := verify.OldestRoot(above)
	if err != nil || name != "1.root.json" || string(root) != string(m.get(name)) {
		t.Errorf("oldest root is %q, error %v", name, err)
	}
}

func TestFromInside(t *testing.T) {
	m := newMaker(t, false)
	m.rotate(ed25519Key, "root", "targets")
	m.write()
	before := m.get("timestamp.json")
	t.Chdir(m.dir)
	// go-tuf's updater must not take the working directory for its cache.
	if r := m.run(t, func(o *verify.Options) { o.Source = "." }); len(r.Findings) > 0 {
		t.Errorf("from inside:\n%s", list(r))
	}
	if string(before) != string(m.get("timestamp.json")) {
		t.Error("verify wrote into the repository")
	}
}
