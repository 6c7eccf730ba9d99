package workflow

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Preview is what a rotation would mean for the people who hold the keys.
type Preview struct {
	Intents []string         `json:"intents"`
	Roles   []PreviewRole    `json:"roles"`
	Absent  []PreviewAbsence `json:"if_absent"`
}

// PreviewRole is one signature round: root, then targets, snapshot and timestamp.
type PreviewRole struct {
	Role    string         `json:"role"`
	From    int64          `json:"from"`
	To      int64          `json:"to"`
	Why     string         `json:"why"`
	Signers []PreviewTally `json:"signers"`
}

// PreviewTally is one threshold and who can meet it.
type PreviewTally struct {
	By   string       `json:"by"`
	Need int          `json:"need"`
	Keys []PreviewKey `json:"keys"`
}

// PreviewKey is one who could sign.
type PreviewKey struct {
	KeyID tuf.KeyID `json:"keyid,omitzero"` // "" for a key that is yet to be made
	Name  string    `json:"name"`
	New   bool      `json:"new,omitempty"` // gets the role with this change
}

func (w *Session) previewKey(ctx context.Context, role string, u signer.URI, generate bool, names map[tuf.KeyID]string) (meta.Key, error) {
	if u.Kind().Elsewhere {
		k, err := w.Keys.ReadPublic(u)
		if err == nil {
			names[k.Key.ID] = k.At.String()
		}
		return k.Key, err
	}
	pub, at, err := w.Keys.PublicOf(ctx, w.UI, signer.Ref{URI: u, Roles: []string{role}})
	if generate && keyring.ToBeMade(err) {
		return standIn(names, "a new key in "+u.String())
	}
	if err != nil {
		return meta.Key{}, err
	}
	k, err := meta.NewKey(pub)
	names[k.ID] = at.String()
	return k, err
}

// PreviewAbsence says what cannot be done without one holder.
type PreviewAbsence struct {
	PreviewKey
	Breaks []string `json:"breaks"`
}

// PreviewRotation says what a rotation of one role would do. It takes no lock, makes no key
// and writes nothing; keys that would be made are stood in for.
func (w *Session) PreviewRotation(ctx context.Context, role string, o Rotation) (Preview, error) {
	remove, err := w.Keys.IDs(role, w.newestRoot().Keys(role), o.Remove)
	if err != nil {
		return Preview{}, err
	}
	rot := edit.Rotation{Role: role, Remove: remove, Threshold: o.Threshold}
	names := map[tuf.KeyID]string{}
	if o.replaces() {
		rot.Set, err = w.standInFiles(ctx, role, names)
	} else if rot.Add, err = w.previewKeys(ctx, role, o.Add, o.Make.Generate, names); err == nil {
		rot.Set, err = w.previewKeys(ctx, role, o.Set, o.Make.Generate, names)
	}
	if err != nil {
		return Preview{}, err
	}
	c, err := edit.Rotate(w.Repo, w.Published, w.Staged, rot, w.StageOptions(o.AllowShorter))
	if err != nil {
		return Preview{}, err
	}
	return w.previewOf(c, names), nil
}

// standInFiles is fleetctl's rotation: as many new keys as the threshold asks for.
func (w *Session) standInFiles(ctx context.Context, role string, names map[tuf.KeyID]string) ([]meta.Key, error) {
	root := w.newestRoot()
	if err := w.allInFile(ctx, root, role); err != nil {
		return nil, err
	}
	var keys []meta.Key
	for range root.Threshold(role) {
		k, err := standIn(names, "a new key in "+keyring.RoleFile(role).String())
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func (w *Session) previewKeys(ctx context.Context, role string, uris []string, generate bool, names map[tuf.KeyID]string) ([]meta.Key, error) {
	var keys []meta.Key
	for _, s := range uris {
		u, err := w.Keys.Parse(s)
		if err != nil {
			return nil, err
		}
		k, err := w.previewKey(ctx, role, u, generate, names)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// toBeMade marks the name of a key that does not exist yet.
const toBeMade = "(to be made) "

// standIn takes the place of a key that is yet to be made; nobody keeps it.
func standIn(names map[tuf.KeyID]string, name string) (meta.Key, error) {
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return meta.Key{}, err
	}
	k, err := meta.NewKey(pub)
	names[k.ID] = toBeMade + name
	return k, err
}

func (w *Session) previewOf(c *repo.Change, names map[tuf.KeyID]string) Preview {
	var p Preview
	// An intent names keys by their IDs, and a stand-in's means nothing to anybody.
	for _, s := range c.Intents {
		for id, name := range names {
			if strings.HasPrefix(name, toBeMade) {
				s = strings.ReplaceAll(s, "key "+id.Short(), strings.TrimPrefix(name, toBeMade))
			}
		}
		p.Intents = append(p.Intents, s)
	}
	why := map[string]string{
		meta.RoleRoot:    "it names the keys and thresholds of every role",
		meta.RoleTargets: "the published signatures do not meet the new root, or its content changes",
	}
	for _, d := range c.Docs() {
		r := PreviewRole{Role: d.Role(), From: w.Published.VersionOf(d.Role()), To: d.Version(), Why: why[d.Role()]}
		if d.Role() == meta.RoleRoot {
			r.Signers = []PreviewTally{w.tallyOf("published root", meta.RoleRoot, w.Published.Root, names), w.tallyOf("new root", meta.RoleRoot, c.Root(), names)}
		} else {
			r.Signers = []PreviewTally{w.tallyOf(d.Role(), d.Role(), c.Root(), names)}
		}
		p.Roles = append(p.Roles, r)
	}
	for _, role := range w.Repo.Following(w.Published, c, repo.ReleaseOptions{Expiries: w.Config.Expiries}) {
		p.Roles = append(p.Roles, PreviewRole{
			Role: role, From: w.Published.VersionOf(role), To: w.Published.VersionOf(role) + 1, Why: `signed by "commit", after everybody else`,
			Signers: []PreviewTally{w.tallyOf(role, role, c.Root(), names)},
		})
	}
	p.findAbsent()
	return p
}

func (w *Session) tallyOf(by, role string, root *meta.Root, names map[tuf.KeyID]string) PreviewTally {
	t := PreviewTally{By: by, Need: root.Threshold(role)}
	for _, k := range root.Keys(role) {
		pk := PreviewKey{KeyID: k.ID, Name: names[k.ID], New: !hasKeyID(w.Published.Root.Keys(role), k.ID)}
		switch {
		case strings.HasPrefix(pk.Name, toBeMade):
			pk.KeyID = tuf.KeyID{}
		case pk.Name == "":
			pk.Name = w.Keys.Name(role, k)
		}
		t.Keys = append(t.Keys, pk)
	}
	return t
}

// findAbsent asks for each key alone what cannot be signed without it.
func (p *Preview) findAbsent() {
	var order []PreviewKey
	breaks := map[PreviewKey][]string{}
	for _, r := range p.Roles {
		for _, t := range r.Signers {
			for _, k := range t.Keys {
				// One key is one key, whether it is new in this role or not.
				k.New = false
				if !slices.Contains(order, k) {
					order = append(order, k)
				}
				if len(t.Keys)-1 < t.Need {
					what := fmt.Sprintf("%s v%d", r.Role, r.To)
					if !slices.Contains(breaks[k], what) {
						breaks[k] = append(breaks[k], what)
					}
				}
			}
		}
	}
	for _, k := range order {
		p.Absent = append(p.Absent, PreviewAbsence{PreviewKey: k, Breaks: append([]string{}, breaks[k]...)})
	}
}
