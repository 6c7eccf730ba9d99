package repo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/repo/repotest"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// clientJudge is package verify's reading, as the tool hands it in.
type clientJudge struct {
	web  string
	runs int
	// known is what it finds, for copies of one folder.
	known *[]repo.Fault
}

func (j *clientJudge) Published() ([]repo.Fault, error) {
	j.runs++
	if j.known != nil {
		return *j.known, nil
	}
	report, err := verify.Run(context.Background(), verify.Options{Source: j.web, MetadataOnly: true})
	if err != nil {
		return nil, err
	}
	found := faults(report.Findings)
	j.known = &found
	return found, nil
}

func (*clientJudge) Draft(role string, consistent bool, file []byte) []repo.Fault {
	return faults(verify.Draft(role, consistent, file))
}

func faults(findings []verify.Finding) []repo.Fault {
	var out []repo.Fault
	for _, f := range findings {
		if f.Severity == verify.Error {
			out = append(out, repo.Fault{Code: string(f.Code), Role: f.Role, File: f.File, Text: f.Text})
		}
	}
	return out
}

// judged gives the folder again, with a judge.
func judged(r *repo.Repo) (*repo.Repo, *clientJudge) {
	j := &clientJudge{web: filepath.Join(r.Dir(), "repository")}
	return repo.Open(r.Dir(), repo.Options{Judge: j}), j
}

// entry is a target as fleetctl writes it, with some of it replaced.
func entry(replace ...string) string {
	s := fmt.Sprintf(`{"length":13,"hashes":{"sha512":%q},"custom":{"version":"1"}}`, sum512([]byte("their content")))
	return strings.NewReplacer(replace...).Replace(s)
}

// faulty is one state that verify calls fatal and that package repo alone would read.
type faulty struct {
	code    verify.Code
	targets map[string]string   // beside the good ones, raw; or
	raw     string              // more members of "targets", as they stand
	signed  func(string) string // of targets.json
	file    func(role, s string) string
	after   func(t *testing.T, r *repo.Repo, kr repotest.Keyring) // the last touch
	only    string                                                // a layout
	// mends are the commands that put it right; all others are refused.
	mends string
}

const (
	newTargets = "add promote remove renew rotate-targets staged " // everything that signs targets anew
	allRoles   = newTargets + "rotate-snapshot"
)

func faultyStates() map[string]faulty {
	bad := func(e string) map[string]string { return map[string]string{"bad/linux/1/bad": e} }
	states := map[string]faulty{
		"no version":       {code: verify.CodeTargetVersion, targets: bad(entry(`,"custom":{"version":"1"}`, ""))},
		"empty version":    {code: verify.CodeTargetVersion, targets: bad(entry(`"version":"1"`, `"version":""`))},
		"no sha512":        {code: verify.CodeSHA512, targets: bad(entry("sha512", "sha256", sum512([]byte("their content")), strings.Repeat("ab", 32)))},
		"unknown hash":     {code: verify.CodeHashForm, targets: bad(entry(`"sha512"`, `"md5":"00","sha512"`))},
		"negative length":  {code: verify.CodeTargetLength, targets: bad(entry(`:13`, `:-13`))},
		"path with blanks": {code: verify.CodeTargetPath, targets: map[string]string{"bad//1/bad": entry()}},
		"path with query":  {code: verify.CodeTargetPath, targets: map[string]string{"bad/linux/1/bad?x": entry()}},
		"long name":        {code: verify.CodeTargetName, targets: map[string]string{"bad/linux/1/" + strings.Repeat("n", 127): entry()}, only: "consistent"},
		"null":             {code: verify.CodeMalformed, targets: bad("null")},
		"large number":     {code: verify.CodeNumber, targets: bad(entry(`"version":"1"`, `"version":"1","n":9007199254740994`))},
		"custom twice":     {code: verify.CodeDuplicateField, targets: bad(entry(`"version":"1"`, `"version":"1","version":"1"`)), mends: newTargets},
		"spec version":     {code: verify.CodeSpecVersion, signed: func(s string) string { return strings.Replace(s, `"1.0"`, `"2.0"`, 1) }},
		// Two names that no UTF-8 can tell apart.
		"surrogates": {code: verify.CodeDuplicateField, raw: `"b\ud800/linux/1/b":` + entry() + `,"b\udc00/linux/1/b":` + entry(`"1"`, `"2"`)},
		"indented": {code: verify.CodeNotCompact, mends: newTargets, file: func(role, s string) string {
			if role != meta.RoleTargets {
				return s
			}
			var b bytes.Buffer
			_ = json.Indent(&b, []byte(s), "", "\t")
			return b.String()
		}},
		"signed twice": {code: verify.CodeSignatureDuplicate, mends: newTargets, file: func(role, s string) string {
			if role != meta.RoleTargets {
				return s
			}
			from, to := strings.Index(s, `"signatures":[`)+len(`"signatures":[`), strings.LastIndex(s, "]")
			return s[:to] + "," + s[from:to] + s[to:]
		}},
		"snapshot signed twice": {code: verify.CodeSignatureDuplicate, mends: allRoles, file: func(role, s string) string {
			if role != meta.RoleSnapshot {
				return s
			}
			from, to := strings.Index(s, `"signatures":[`)+len(`"signatures":[`), strings.LastIndex(s, "]")
			return s[:to] + "," + s[from:to] + s[to:]
		}},
		"no numbered targets": {code: verify.CodeMissing, only: "consistent", mends: newTargets, after: func(t *testing.T, r *repo.Repo, _ repotest.Keyring) {
			repotest.Remove(t, r, "repository/7.targets.json")
		}},
		"a gap": {code: verify.CodeRootGap, after: func(t *testing.T, r *repo.Repo, kr repotest.Keyring) {
			repotest.Rotate(t, r, kr, meta.RoleTimestamp)
			repotest.Rotate(t, r, kr, meta.RoleTimestamp)
			repotest.Remove(t, r, "repository/2.root.json")
		}},
		"no numbered root": {code: verify.CodeRootGap, after: func(t *testing.T, r *repo.Repo, kr repotest.Keyring) {
			repotest.Rotate(t, r, kr, meta.RoleTimestamp)
			repotest.Remove(t, r, "repository/2.root.json")
		}},
	}
	return states
}

func (f faulty) publish(t *testing.T, r *repo.Repo, kr repotest.Keyring) {
	t.Helper()
	members := []string{`"orbit/linux/edge/orbit":` + entry(), `"orbit/linux/1/orbit":` + entry()}
	for path, e := range f.targets {
		members = append(members, fmt.Sprintf("%q:%s", path, e))
	}
	if f.raw != "" {
		members = append(members, f.raw)
	}
	signed := `{"_type":"targets","spec_version":"1.0","version":7,"expires":"EXPIRES","targets":{` + strings.Join(members, ",") + `}}`
	if f.signed != nil {
		signed = f.signed(signed)
	}
	theirsRaw(t, r, kr, signed, f.file)
	if f.after != nil {
		f.after(t, r, kr)
	}
}

// theirsRaw publishes a targets.json as it stands, and what fleetctl writes over it.
func theirsRaw(t *testing.T, r *repo.Repo, kr repotest.Keyring, targets string, form func(role, s string) string) {
	t.Helper()
	p := repotest.Load(t, r)
	web := filepath.Join(r.Dir(), "repository")
	expires := time.Now().Add(100 * time.Hour).UTC().Format(time.RFC3339)
	put := func(role, signed string) theirFile {
		signed = strings.Replace(signed, "EXPIRES", expires, 1)
		data := theirSign(t, p, kr, role, json.RawMessage(signed))
		if form != nil {
			data = []byte(form(role, string(data)))
		}
		if p.Root.ConsistentSnapshot() && role != meta.RoleTimestamp {
			lay(t, filepath.Join(web, "7."+role+".json"), data)
		}
		lay(t, filepath.Join(web, role+".json"), data)
		return theirFile{Length: int64(len(data)), Hashes: map[string]string{"sha512": sum512(data)}, Version: 7}
	}
	above := func(role, name string, m theirFile) string {
		file, _ := json.Marshal(m)
		return fmt.Sprintf(`{"_type":%q,"spec_version":"1.0","version":7,"expires":"EXPIRES","meta":{%q:%s}}`, role, name, file)
	}
	m := put(meta.RoleTargets, targets)
	m = put(meta.RoleSnapshot, above(meta.RoleSnapshot, "targets.json", m))
	put(meta.RoleTimestamp, above(meta.RoleTimestamp, "snapshot.json", m))
	for _, path := range []string{"orbit/linux/edge/orbit", "orbit/linux/1/orbit"} {
		if p.Root.ConsistentSnapshot() {
			path = filepath.Join(filepath.Dir(path), sum512([]byte("their content"))+".orbit")
		}
		lay(t, filepath.Join(web, "targets", path), []byte("their content"))
	}
}

func lay(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// changing are the commands that publish.
func changing(t *testing.T, kr repotest.Keyring) map[string]func(r *repo.Repo) error {
	opts := repo.StageOptions{}
	change := func(make func(r *repo.Repo, p *repo.Published) (*repo.Change, error)) func(r *repo.Repo) error {
		return func(r *repo.Repo) error {
			p, err := r.Load()
			if err != nil {
				return err
			}
			c, err := make(r, p)
			if err != nil {
				return err
			}
			return kr.Try(r, p, c)
		}
	}
	added := func(r *repo.Repo) (*repo.Published, *repo.Change, error) {
		return repotest.Put(t, r, "next", meta.Item{Name: "next", Platform: "linux", Version: "2"})
	}
	cmds := map[string]func(r *repo.Repo) error{
		"add": func(r *repo.Repo) error {
			p, c, err := added(r)
			if err != nil {
				return err
			}
			return kr.Try(r, p, c)
		},
		"staged": func(r *repo.Repo) error { // by one command, committed by another
			_, c, err := added(r)
			if err != nil {
				return err
			}
			if err := r.Save(c); err != nil {
				return err
			}
			p, err := r.Load()
			if err != nil {
				return err
			}
			if c, err = r.Staged(p); err != nil {
				return err
			}
			return kr.Try(r, p, c)
		},
		"promote": change(func(r *repo.Repo, p *repo.Published) (*repo.Change, error) {
			c, _, err := edit.Promote(r, p, nil, edit.Promotion{Version: "1", From: "edge", To: []string{"stable"}}, opts)
			return c, err
		}),
		"remove": change(func(r *repo.Repo, p *repo.Published) (*repo.Change, error) {
			c, _, err := edit.Remove(r, p, nil, edit.Removal{Paths: []string{"orbit/linux/1/orbit"}}, opts)
			return c, err
		}),
		"renew": change(func(r *repo.Repo, p *repo.Published) (*repo.Change, error) {
			return edit.Renew(r, p, nil, meta.RoleTargets, opts)
		}),
		"renew-root": change(func(r *repo.Repo, p *repo.Published) (*repo.Change, error) {
			return edit.Renew(r, p, nil, meta.RoleRoot, opts)
		}),
	}
	for _, role := range meta.Roles() {
		cmds["rotate-"+role] = change(func(r *repo.Repo, p *repo.Published) (*repo.Change, error) {
			return edit.Rotate(r, p, nil, edit.Rotation{Role: role, Set: []meta.Key{kr.Make(t)}}, opts)
		})
	}
	return cmds
}

// TestNothingIsBuiltOnWhatIsFatal: what verify calls fatal is either gone afterwards, or
// the command refuses and writes nothing, for every such state and every command that
// publishes.
func TestNothingIsBuiltOnWhatIsFatal(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		base, kr := repotest.New(t, consistent)
		for name, f := range faultyStates() {
			if f.only == "consistent" && !consistent {
				continue
			}
			t.Run(name, func(t *testing.T) {
				state := repotest.Clone(t, base)
				f.publish(t, state, kr)
				if found := fatal(t, state); !strings.Contains(found, string(f.code)) {
					t.Fatalf("verify does not find %s in it:\n%s", f.code, found)
				}
				var known *[]repo.Fault
				for command, run := range changing(t, kr) {
					r, j := judged(repotest.Clone(t, state))
					j.known = known
					before := repotest.CopyWeb(t, r)
					err := run(r)
					known = j.known
					mends := strings.Contains(f.mends+" ", command+" ")
					switch {
					case err == nil && fatal(t, r) != "":
						t.Errorf("%s: published, and verify finds\n%s", command, fatal(t, r))
					case (err == nil) != mends:
						t.Errorf("%s: %v", command, err)
					case err != nil && !maps.Equal(before, repotest.CopyWeb(t, r)):
						t.Errorf("%s is refused (%v), and repository/ is not as it was", command, err)
					}
					var refused *meta.RefusedError
					if err != nil && !errors.Is(err, meta.ErrMetadata) && !(errors.As(err, &refused) && refused.Kind == meta.RootChain) {
						t.Errorf("%s is refused for another reason: %v", command, err)
					}
				}
			})
		}
	})
}

func fatal(t *testing.T, r *repo.Repo) string {
	t.Helper()
	var out []string
	for _, f := range findings(t, r) {
		if strings.HasPrefix(f, string(verify.Error)) {
			out = append(out, f)
		}
	}
	return strings.Join(out, "\n")
}

// TestFaultyTargetsHaveAWayOut: a target that clients stumble over is taken out, or
// replaced, and then everything goes on.
func TestFaultyTargetsHaveAWayOut(t *testing.T) {
	base, kr := repotest.New(t, true)
	f := faultyStates()
	for name, path := range map[string]string{"no version": "bad/linux/1/bad", "path with query": "bad/linux/1/bad?x", "null": "bad/linux/1/bad", "surrogates": "b\ufffd/linux/1/b"} {
		state := repotest.Clone(t, base)
		f[name].publish(t, state, kr)
		r, _ := judged(state)
		p, err := r.Load()
		if err != nil {
			t.Fatal(name, err)
		}
		c, _, err := edit.Remove(r, p, nil, edit.Removal{Paths: []string{path}}, repo.StageOptions{})
		if err == nil {
			err = kr.Try(r, p, c)
		}
		if err != nil {
			t.Errorf("%s: taking it out: %v", name, err)
			continue
		}
		repotest.Add(t, r, kr, "next", meta.Item{Name: "next", Platform: "linux", Version: "2"})
		repotest.Judge(t, r)
	}
}

// TestSoundIsLookedAtOnce: who alone publishes here waits for the other reading once;
// what another tool publishes is looked at again.
func TestSoundIsLookedAtOnce(t *testing.T) {
	repotest.ForLayouts(t, func(t *testing.T, consistent bool) {
		base, kr := repotest.New(t, consistent)
		step := func(want int, what string, do func(r *repo.Repo)) {
			t.Helper()
			r, j := judged(base)
			do(r)
			if j.runs != want {
				t.Errorf("%s: verify looked %d times, not %d", what, j.runs, want)
			}
		}
		more := func(v string) func(r *repo.Repo) {
			return func(r *repo.Repo) {
				repotest.Add(t, r, kr, "next "+v, meta.Item{Name: "next", Platform: "linux", Version: v})
			}
		}
		step(1, "the first add", more("1"))
		step(0, "the second", more("2"))
		step(0, "timestamp", func(r *repo.Repo) { repotest.Stamp(t, r, kr) })
		step(0, "a rotation", func(r *repo.Repo) { repotest.Rotate(t, r, kr, meta.RoleSnapshot) })
		theirsRaw(t, base, kr, `{"_type":"targets","spec_version":"1.0","version":7,"expires":"EXPIRES","targets":{}}`, nil)
		step(0, "timestamp over another's", func(r *repo.Repo) { repotest.Stamp(t, r, kr) })
		step(1, "an add after another's", more("3"))
		step(0, "the next", more("4"))
		repotest.Judge(t, base)
	})
}
