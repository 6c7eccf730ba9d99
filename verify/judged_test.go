package verify_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

func TestFaults(t *testing.T) {
	all := slices.Concat(rootFaults(), keyFaults(), signatureFaults(), formFaults(), metaFaults(), targetFaults(), coldFaults())
	for _, f := range all {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			m := newMaker(t, f.consistent)
			if f.before != nil {
				f.before(m)
			}
			m.write()
			if f.after != nil {
				f.after(m)
			}
			r := m.run(t, func(o *verify.Options) {
				if _, err := os.Stat(m.path("pinned")); err == nil {
					o.Root = m.get("pinned")
				}
			})
			checkFault(t, f, r)
		})
	}
}

func checkFault(t *testing.T, f fault, r *verify.Report) {
	t.Helper()
	found := find(r, f.code)
	ok := slices.ContainsFunc(found, func(x verify.Finding) bool {
		return x.Severity == f.severity && (f.file == "" || x.File == f.file)
	})
	if !ok {
		t.Errorf("want %s %s of %q, got\n%s", f.severity, f.code, f.file, list(r))
	}
	if f.severity == verify.Error && r.OK() {
		t.Error("the report says OK")
	}
	for _, x := range r.Findings {
		if x.Text == "" || strings.Contains(x.Text, "%!") || strings.Contains(x.String(), os.TempDir()) {
			t.Errorf("bad text: %s", x)
		}
	}
	if f.severity == verify.Warning && f.code != verify.CodePinnedDiffers && !r.OK() {
		t.Errorf("a warning only, and the report is not OK:\n%s", list(r))
	}
}

// TestEverything: one run names faults of every file, not only the first.
func TestEverything(t *testing.T) {
	m := newMaker(t, false)
	m.rotate(ed25519Key, "root")
	m.edit["timestamp"] = func(signed map[string]any) { signed["expires"] = "2021-01-01T00:00:00Z" }
	m.missigned["snapshot"] = true
	m.finish["targets"] = indent
	k := p256Key()
	k.entry["keytype"] = "ecdsa"
	m.extra = []*key{k}
	m.write()
	remove("targets/extensions/hello/linux/stable/hello.ext")(m)
	m.put("targets/orbit/linux/1.2.3/orbit", []byte("ORBIT for linux"))
	r := m.run(t)
	want := []verify.Code{
		verify.CodeExpired, verify.CodeThreshold, verify.CodeNotCompact, verify.CodeKeyType,
		verify.CodeTargetMissing, verify.CodeTargetHash, verify.CodeClient,
	}
	for _, code := range want {
		if len(find(r, code)) == 0 {
			t.Errorf("no finding %s", code)
		}
	}
	if n := len(find(r, verify.CodeKeyType)); n != 2 {
		t.Errorf("%d findings of keytype, want one for each root", n)
	}
}
