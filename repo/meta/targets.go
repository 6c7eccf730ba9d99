package meta

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/fleet-hsm/fleet-hsm/internal/canonjson"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// Target is what targets.json says of one path.
type Target struct {
	Path    string // below targets/, without hash prefix
	Length  int64
	SHA512  string // hex, "" if the entry has no sha512
	Version string // custom.version, "" if there is none
}

// Targets is a parsed targets.json. Entries are kept in their canonical bytes and
// only read when somebody asks: of ten thousand, an add touches four.
type Targets struct {
	head    tuf.Header
	entries map[string]json.RawMessage
	rest    map[string]json.RawMessage // delegations and fields we do not know
	parsed  *Delegated                 // of rest, once somebody asked; see Delegated
}

// Version is the number of this targets.json.
func (t *Targets) Version() int64 { return t.head.Version }

// Expires is when clients begin to refuse it.
func (t *Targets) Expires() time.Time { return t.head.Expires }

// Len is the number of target paths.
func (t *Targets) Len() int { return len(t.entries) }

// All gives every entry with its path, in no order.
func (t *Targets) All() iter.Seq2[string, json.RawMessage] { return maps.All(t.entries) }

// Entry is what stands there for a path, in canonical form; nil if it is not there.
func (t *Targets) Entry(path string) json.RawMessage { return t.entries[path] }

// Put lets an entry stand for a path as it is.
func (t *Targets) Put(path string, entry json.RawMessage) { t.entries[path] = entry }

// Remove takes a path out.
func (t *Targets) Remove(path string) { delete(t.entries, path) }

// Others are the fields besides the entries.
func (t *Targets) Others() map[string]json.RawMessage { return t.rest }

// Renumber gives the version and the expiry that will be signed.
func (t *Targets) Renumber(version int64, expires time.Time) {
	t.head.Version, t.head.Expires = version, UTCSecond(expires)
}

// Paths lists the target paths, sorted.
func (t *Targets) Paths() []string {
	paths := make([]string, 0, len(t.entries))
	for p := range t.entries {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// Get reads one entry; ok is false if the path is not there.
func (t *Targets) Get(path string) (target Target, ok bool, err error) {
	raw, ok := t.entries[path]
	if !ok {
		return Target{}, false, nil
	}
	// go-tuf's type decodes an entry twice, to keep fields it does not know; entries
	// are kept raw here, so a plain struct is enough, at a tenth of the time.
	var f struct {
		Length int64 `json:"length"`
		Hashes struct {
			SHA512 string `json:"sha512"`
		} `json:"hashes"`
		Custom json.RawMessage `json:"custom"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return Target{}, false, fmt.Errorf("target %q: %w", path, err)
	}
	target = Target{Path: path, Length: f.Length, SHA512: strings.ToLower(f.Hashes.SHA512)}
	var c struct {
		Version string `json:"version"`
	}
	// custom is the publisher's; what is no object with a version has none.
	if len(f.Custom) > 0 && json.Unmarshal(f.Custom, &c) == nil {
		target.Version = c.Version
	}
	if target.SHA512 != "" && !isSHA512(target.SHA512) {
		return Target{}, false, fmt.Errorf("target %q: sha512 is not 128 hexadecimal digits", path)
	}
	return target, true, nil
}

// PathsOf lists the paths that have these bytes, sorted.
func (t *Targets) PathsOf(sha512 string) []string {
	var paths []string
	for p, raw := range t.entries {
		// Of ten thousand entries few hold the text at all; only those are parsed.
		if !bytes.Contains(raw, []byte(sha512)) {
			continue
		}
		if target, ok, err := t.Get(p); err == nil && ok && target.SHA512 == sha512 {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths
}

func isSHA512(s string) bool {
	return len(s) == 128 && strings.Trim(s, "0123456789abcdef") == ""
}

// ParseTargets reads the signed part of a targets.json.
func ParseTargets(signed []byte) (*Targets, error) {
	t := &Targets{}
	var err error
	if t.rest, err = Members(signed); err != nil {
		return nil, err
	}
	if t.entries, err = Members(t.rest["targets"]); err != nil {
		return nil, fmt.Errorf("targets: %w", err)
	}
	delete(t.rest, "targets")
	small, err := json.Marshal(t.rest)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(small, &t.head); err != nil {
		return nil, err
	}
	if err := t.head.Check(RoleTargets); err != nil {
		return nil, err
	}
	return t, nil
}

// Members gives the members of a JSON object, undecoded.
func Members(raw []byte) (map[string]json.RawMessage, error) {
	if m, ok := canonjson.Split(raw); ok {
		return m, nil
	}
	m := map[string]json.RawMessage{}
	err := json.Unmarshal(raw, &m)
	return m, err
}

// NewTargets starts one without entries.
func NewTargets() *Targets {
	return &Targets{
		head:    tuf.Header{Type: RoleTargets},
		entries: map[string]json.RawMessage{},
		rest:    map[string]json.RawMessage{"_type": json.RawMessage(`"targets"`), "spec_version": json.RawMessage(`"` + specVersion + `"`)},
	}
}

// Set puts an entry in, in the form of fleetctl: length, sha512 and custom.version.
func (t *Targets) Set(target Target) error {
	sum, err := hex.DecodeString(target.SHA512)
	if err != nil || len(sum) != 64 {
		return fmt.Errorf("target %q: no sha512", target.Path)
	}
	custom, err := cjson.EncodeCanonical(map[string]string{"version": target.Version})
	if err != nil {
		return err
	}
	c := json.RawMessage(custom)
	raw, err := cjson.EncodeCanonical(metadata.TargetFiles{Length: target.Length, Hashes: metadata.Hashes{"sha512": sum}, Custom: &c})
	if err != nil {
		return err
	}
	t.entries[target.Path] = raw
	return nil
}

// Encode writes the canonical form. The entries are canonical already, since they
// come out of canonical bytes (but for control characters in somebody's custom
// fields); object keys are sorted here, by bytes, as cjson does.
func (t *Targets) Encode() ([]byte, error) {
	var list bytes.Buffer
	list.WriteByte('{')
	for i, p := range t.Paths() {
		if i > 0 {
			list.WriteByte(',')
		}
		list.WriteString(CanonicalString(p))
		list.WriteByte(':')
		list.Write(t.entries[p])
	}
	list.WriteByte('}')
	all := map[string][]byte{"targets": list.Bytes()}
	for name, raw := range t.rest {
		all[name] = raw
	}
	all["version"] = fmt.Appendf(nil, "%d", t.head.Version)
	all["expires"] = fmt.Appendf(nil, "%q", t.head.Expires.Format(time.RFC3339))
	// A path may hold a control character, which canonical JSON leaves bare.
	return canonjson.Encode(escapeControls(joinCanonical(all)))
}

// joinCanonical writes an object whose values are canonical already.
func joinCanonical(fields map[string][]byte) []byte {
	names := make([]string, 0, len(fields))
	size := 2
	for n, v := range fields {
		names = append(names, n)
		size += len(n) + len(v) + 4
	}
	slices.Sort(names)
	var b bytes.Buffer
	b.Grow(size)
	b.WriteByte('{')
	for i, n := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(CanonicalString(n))
		b.WriteByte(':')
		b.Write(fields[n])
	}
	b.WriteByte('}')
	return b.Bytes()
}

// Clone makes a Targets that can be changed without changing t.
func (t *Targets) Clone() *Targets {
	c := &Targets{head: t.head, entries: make(map[string]json.RawMessage, len(t.entries)+8), rest: t.rest, parsed: t.parsed}
	for p, raw := range t.entries {
		c.entries[p] = raw
	}
	return c
}

var hashedName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([0-9a-f]{128})\.(.+)$`) })

// ByHashedName gives the entry whose content has a name in the consistent layout.
func (t *Targets) ByHashedName(rel string) (Target, bool, error) {
	dir, last := filepath.Split(rel)
	m := hashedName().FindStringSubmatch(last)
	if m == nil {
		return Target{}, false, nil
	}
	found, there, err := t.Get(filepath.ToSlash(dir) + m[2])
	return found, there && found.SHA512 == m[1], err
}
