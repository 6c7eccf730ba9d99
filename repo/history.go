package repo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/schema"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// historyFile remembers the newest version of each role that this folder has held.
// Without it nothing would tell that an older copy of repository/ was put over a newer
// one: in the flat layout the newer files are gone then, and of timestamps there is
// never more than one.
const historyFile = "history.json"

// mark is one version of a role, and which one: the SHA-256 of its canonical signed
// part, hex, the same whatever signatures the file carries; "" where only its number was
// read, as of targets.json by the timestamp.
type mark struct {
	Version int64  `json:"version"`
	SHA256  string `json:"sha256"`
}

// contradicts: both are one version and not the same.
func (m mark) contradicts(o mark) bool {
	return m.Version == o.Version && m.SHA256 != o.SHA256 && m.SHA256 != "" && o.SHA256 != ""
}

// history is pending/history.json.
type history struct {
	Schema int `json:"schema"`
	// Oldest is the oldest root that lay here when it was begun: it tells which
	// repository this is the history of.
	Oldest mark            `json:"oldest_root"`
	Roles  map[string]mark `json:"roles"`
	// Cold are the roles besides targets that a snapshot from here has listed, with the
	// version: clients accept none afterwards that leaves one out.
	Cold map[string]int64 `json:"cold,omitempty"`
	// GivenUp: a person has said that what is lost stays lost. The next change is built
	// on what is there and numbered above everything named here.
	GivenUp bool `json:"given_up,omitempty"`
	// Sound is the SHA-256 of the four files, by role, against which another's reading had
	// nothing to say; see [Judge].
	Sound map[string]string `json:"sound,omitempty"`
}

// maxHistorySize bounds pending/history.json, in bytes; it is a few hundred, and some forty
// for each cold role.
const maxHistorySize = 65_536

// readHistory gives the history of the repository that lies here; an empty one if there
// is none, or if it is another repository's.
func (r *Repo) readHistory() (history, error) {
	none := history{Schema: 1, Roles: map[string]mark{}}
	const shown = "pending/" + historyFile
	data, err := r.readPending(historyFile, maxHistorySize)
	if notExist(err) || err == nil && len(data) == 0 {
		return none, nil // empty: the machine lost power
	}
	if err != nil {
		return none, err
	}
	h := history{Roles: map[string]mark{}}
	if err := schema.Check(shown, "schema", data, 1); err != nil {
		return none, err
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return none, &meta.FileError{File: shown, Reason: "not a history", Err: err}
	}
	if h.Schema != 1 {
		return none, &meta.FileError{File: shown, Reason: fmt.Sprintf("its schema is %d, which there is none of", h.Schema)}
	}
	for role, m := range h.Roles {
		if !meta.IsRole(role) || m.Version < 1 || m.Version > tuf.MaxVersion {
			return none, &meta.FileError{File: shown, Reason: fmt.Sprintf("names version %d of %q", m.Version, role)}
		}
	}
	for name, version := range h.Cold {
		if file := name + ".json"; meta.CheckPath(file) != nil || strings.Contains(file, "/") || version < 1 || version > tuf.MaxVersion {
			return none, &meta.FileError{File: shown, Reason: fmt.Sprintf("names version %d of %q", version, name)}
		}
	}
	if r.otherRepository(h.Oldest) {
		return none, nil
	}
	return h, nil
}

// otherRepository reports whether the root of that version here is another one.
func (r *Repo) otherRepository(oldest mark) bool {
	link, err := r.readRootLink(versioned(oldest.Version, "root.json"))
	return err == nil && link.mark() != oldest
}

func markOf(version int64, signed []byte) mark {
	sum := sha256.Sum256(signed)
	return mark{Version: version, SHA256: hex.EncodeToString(sum[:])}
}

// Remember raises the history to what is published now. The lock must be held.
func (r *Repo) Remember(p *Published) error {
	h, err := r.readHistory()
	if err != nil {
		return err
	}
	listed := h.listed(p.otherMeta)
	if !h.raise(p.marks()) && !listed {
		return nil
	}
	return r.writeHistory(h)
}

// listed takes what a snapshot lists besides targets, and reports whether any of it was news.
func (h *history) listed(files map[string]*metadata.MetaFiles) bool {
	news := false
	for file, m := range files {
		name, ok := strings.CutSuffix(file, ".json")
		if !ok || file == meta.Below(meta.RoleSnapshot) || strings.Contains(file, "/") || m.Version <= h.Cold[name] || m.Version > tuf.MaxVersion {
			continue
		}
		if h.Cold == nil {
			h.Cold = map[string]int64{}
		}
		h.Cold[name], news = m.Version, true
	}
	return news
}

// noteSound notes which of the published files are sound; nil says nothing of them. As
// with what a commit remembers, a failure costs nothing but a second look.
func (r *Repo) noteSound(files map[string]string) {
	h, err := r.readHistory()
	if err != nil || files == nil || maps.Equal(h.Sound, files) {
		return
	}
	h.Sound = files
	_ = r.writeHistory(h)
}

// RememberTimestamp raises the history to a timestamp that lies elsewhere, such as in a
// store, so that the next one is signed above it. It has to be signed by the timestamp
// keys of a root that is here. The lock must be held. Errors: *FileError,
// *tuf.VersionError.
func (r *Repo) RememberTimestamp(data []byte) error {
	p, err := r.loadOnline()
	if err != nil {
		return err
	}
	if err := r.acceptedHere(p, data); err != nil {
		return err
	}
	m, err := markIn(data)
	if err != nil {
		return err
	}
	h, err := r.readHistory()
	if err != nil {
		return err
	}
	known := max(h.Roles[meta.RoleTimestamp].Version, p.Timestamp.Version())
	if err := tuf.CheckVersion(meta.RoleTimestamp, known, m.Version); err != nil {
		return err
	}
	if !h.raise(map[string]mark{meta.RoleTimestamp: m}) {
		return nil
	}
	return r.writeHistory(h)
}

// acceptedHere reports why neither the published root nor the one before it accepts a
// timestamp: where its keys were changed, the store still has one of the old.
func (r *Repo) acceptedHere(p *Published, data []byte) error {
	err := meta.Accepts(p.rootData, meta.RoleTimestamp, data)
	if err == nil {
		return nil
	}
	before, rerr := r.readMetadata(versioned(p.Root.Version()-1, "root.json"), meta.MaxRootSize)
	if rerr == nil && meta.Accepts(before, meta.RoleTimestamp, data) == nil {
		return nil
	}
	return err
}

// raise takes the marks that are newer, and reports whether any was.
func (h *history) raise(marks map[string]mark) bool {
	changed := false
	for role, m := range marks {
		have := h.Roles[role]
		if m.Version > have.Version || m.Version == have.Version && have.SHA256 == "" && m.SHA256 != "" {
			h.Roles[role], changed = m, true
		}
	}
	return changed
}

// near leaves out versions that nobody honest can have reached from here.
func (h *history) near(marks map[string]mark) map[string]mark {
	out := map[string]mark{}
	for role, m := range marks {
		if tuf.CheckVersion(role, h.Roles[role].Version, m.Version) == nil {
			out[role] = m
		}
	}
	return out
}

func (r *Repo) writeHistory(h history) error {
	if h.Oldest.Version == 0 {
		oldest, err := r.oldestRoot()
		if err != nil {
			return err
		}
		h.Oldest = oldest
	}
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return atomicfile.Replace(r.pending(historyFile), data, 0o600)
}

// remembered notes what a commit has just put in place, and what it is known to publish
// whatever lies there by now. The files themselves carry their numbers, so a failure here
// costs nothing today.
func (r *Repo) remembered(files []string, known map[string]mark) {
	h, err := r.readHistory()
	if err != nil {
		return
	}
	marks := map[string]mark{}
	listed := false
	for _, name := range files {
		role, ok := plainRole(name)
		if !ok {
			continue
		}
		data, err := readLimited(r.web(name), name, tuf.MaxSize(role))
		if err != nil {
			continue
		}
		env, err := meta.ParseEnvelope(data)
		if err != nil {
			continue
		}
		if m, err := markOfEnvelope(env); err == nil {
			marks[role] = m
		}
		if role != meta.RoleSnapshot {
			continue
		}
		if l, err := meta.ParseListing(role, env.Text()); err == nil {
			listed = h.listed(l.Files())
		}
	}
	_, targets := marks[meta.RoleTargets]
	_, snapshot := marks[meta.RoleSnapshot]
	done := h.GivenUp && targets && snapshot
	raised := h.raise(h.near(known))
	if h.raise(marks) || raised || listed || done {
		h.GivenUp = h.GivenUp && !done
		_ = r.writeHistory(h)
	}
}

// markIn reads the number out of a metadata file, whoever signed it.
func markIn(data []byte) (mark, error) {
	env, err := meta.ParseEnvelope(data)
	if err != nil {
		return mark{}, err
	}
	return markOfEnvelope(env)
}

func markOfEnvelope(env *meta.Envelope) (mark, error) {
	head, err := meta.Members(env.Text())
	if err != nil {
		return mark{}, err
	}
	var version int64
	if err := json.Unmarshal(head["version"], &version); err != nil {
		return mark{}, err
	}
	return markOf(version, env.Signed()), nil
}

// marks gives what is published, as far as it was loaded, and of targets.json at least
// the number that the snapshot names.
func (p *Published) marks() map[string]mark {
	out := map[string]mark{}
	for role, env := range map[string]*meta.Envelope{meta.RoleRoot: p.rootEnv, meta.RoleTargets: p.targetsEnv, meta.RoleSnapshot: p.snapshotEnv, meta.RoleTimestamp: p.timestampEnv} {
		if v := p.VersionOf(role); env != nil && v > 0 {
			out[role] = markOf(v, env.Signed())
		}
	}
	if _, read := out[meta.RoleTargets]; !read && p.Snapshot != nil {
		out[meta.RoleTargets] = mark{Version: p.Snapshot.Meta().Version}
	}
	return out
}

// plainRole gives the role of a file such as "targets.json".
func plainRole(name string) (string, bool) {
	for _, role := range meta.Roles() {
		if name == role+".json" {
			return role, true
		}
	}
	return "", false
}
