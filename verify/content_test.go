package verify_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// TestReadOnce: hard links of one file are one file, whatever they are called.
func TestReadOnce(t *testing.T) {
	m := newMaker(t, true)
	m.files = map[string]string{}
	content := strings.Repeat("orbit", 1<<18)
	for _, channel := range []string{"1.2.3", "1.2", "1", "stable"} {
		m.files["orbit/linux/"+channel+"/orbit"] = content
	}
	m.write()
	if r := m.run(t); r.Files != 4 || r.Bytes != 4*int64(len(content)) {
		t.Errorf("copies: %d files, %d bytes", r.Files, r.Bytes)
	}
	first := m.path(hashedName("orbit/linux/stable/orbit", content))
	for name := range m.files {
		if file := m.path(hashedName(name, content)); file != first {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(first, file); err != nil {
				t.Fatal(err)
			}
		}
	}
	var last verify.Progress
	r := m.run(t, func(o *verify.Options) { o.Progress = func(p verify.Progress) { last = p } })
	if r.Files != 1 || r.Bytes != int64(len(content)) || len(r.Findings) > 0 {
		t.Errorf("links: %d files, %d bytes\n%s", r.Files, r.Bytes, list(r))
	}
	want := verify.Progress{Files: 1, TotalFiles: 1, Bytes: r.Bytes, TotalBytes: r.Bytes}
	if last != want {
		t.Errorf("last progress %+v, want %+v", last, want)
	}
	if err := os.WriteFile(first, []byte(strings.Repeat("ORBIT", 1<<18)), 0o644); err != nil {
		t.Fatal(err)
	}
	if n := len(find(m.run(t), verify.CodeTargetHash)); n != 4 {
		t.Errorf("%d targets have a wrong hash, want all 4 names of the file", n)
	}
}

func TestManyRoots(t *testing.T) {
	m := newMaker(t, false)
	for range 20 {
		m.rotate(ed25519Key, "root")
	}
	m.write()
	if r := m.run(t); len(r.Findings) > 0 || r.Clients != 21 {
		t.Errorf("%d clients\n%s", r.Clients, list(r))
	}
}

func TestRootLimit(t *testing.T) {
	m := newMaker(t, false)
	m.files = nil
	for range 1001 {
		m.roots = append(m.roots, m.roots[0])
	}
	m.write()
	r := m.run(t, func(o *verify.Options) { o.FromEveryRoot = false })
	if found := find(r, verify.CodeRootLimit); len(found) != 1 || found[0].File != "1002.root.json" {
		t.Errorf("1002 roots:\n%s", list(r))
	}
}

// BenchmarkAllTargets hashes sparse files: compare -cpu 1,2 for what the second
// processor brings.
func BenchmarkAllTargets(b *testing.B) {
	m := newMaker(b, false)
	const size, count = 64 << 20, 12
	content := strings.Repeat("\x00", size)
	m.files = map[string]string{}
	for i := range count {
		m.files["orbit/linux/"+strings.Repeat("x", i+1)+"/orbit"] = content
	}
	m.write()
	b.SetBytes(size * count)
	for b.Loop() {
		r, err := verify.Run(context.Background(), verify.Options{Source: m.dir, AllTargets: true})
		if err != nil || len(r.Findings) > 0 {
			b.Fatal(err, list(r))
		}
	}
}
