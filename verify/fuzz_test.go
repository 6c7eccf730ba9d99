package verify_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// load reads a repository into memory.
func load(t testing.TB, dir string) map[string][]byte {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		files[filepath.ToSlash(rel)] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// FuzzMetadata replaces one metadata file of a good repository by anything: there
// must be a report, never a panic, and what changes the meaning of a file must be
// found. Run it with -fuzzminimizetime 5x: minimising signed metadata is slow and idle.
func FuzzMetadata(f *testing.F) {
	m := newMaker(f, true)
	m.rotate(p256Key, "root", "targets")
	delegate(m, 2)
	m.write()
	files := load(f, m.dir)
	names := []string{"1.root.json", "2.root.json", "root.json", "timestamp.json", "2.snapshot.json", "2.targets.json", "1.team-1.json"}
	for i, name := range names {
		f.Add(uint8(i), files[name])
		f.Add(uint8(i), indent(files[name]))
		f.Add(uint8(i), cut(files[name]))
	}
	f.Add(uint8(0), []byte(`{"signed":{"_type":"root","version":1,"keys":{"a":null},"roles":{"root":null}},"signatures":[{"keyid":"a","sig":""}]}`))
	f.Add(uint8(4), []byte(`{"signed":{"_type":"snapshot","version":-1,"meta":{"targets.json":{"version":9223372036854775807}}},"signatures":null}`))
	f.Add(uint8(5), []byte(`{"signed":{"_type":"targets","targets":{"":{},"/":{"length":-9},"a":null},"delegations":{"roles":[{"name":"root"}]}}}`))
	f.Add(uint8(3), []byte("\xef\xbb\xbf<html>"))
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		changed := map[string][]byte{}
		for name, old := range files {
			changed[name] = old
		}
		name := names[int(which)%len(names)]
		changed[name] = data
		o := verify.Options{Root: files["1.root.json"], AllTargets: true, FromEveryRoot: true, Workers: 1, At: m.now.Add(time.Hour)}
		r := verify.RunFiles(changed, o)
		if string(data) != string(files[name]) && sameMeaning(data, files[name]) == false && len(r.Findings) == 0 {
			t.Errorf("%s was changed, and nothing is said", name)
		}
		// A root that cannot be trusted must not bring the walk down either.
		o.Root = data
		verify.RunFiles(files, o)
	})
}

// sameMeaning reports whether two files decode to the same values: then the
// signatures still hold.
func sameMeaning(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	ja, _ := json.Marshal(x)
	jb, _ := json.Marshal(y)
	return string(ja) == string(jb)
}

func TestGoodInMemory(t *testing.T) {
	m := newMaker(t, true)
	m.rotate(p256Key, "root", "targets")
	delegate(m, 2)
	m.write()
	r := verify.RunFiles(load(t, m.dir), verify.Options{Root: m.get("1.root.json"), AllTargets: true, FromEveryRoot: true})
	if len(r.Findings) > 0 {
		t.Errorf("good repository with delegations:\n%s", list(r))
	}
}
