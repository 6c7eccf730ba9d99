package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// plan is what a rotation would mean for the people who hold the keys.
type plan struct {
	Schema  int           `json:"schema"`
	Command string        `json:"command"`
	Intents []string      `json:"intents"`
	Roles   []planRole    `json:"roles"`
	Absent  []planAbsence `json:"if_absent"`
}

// planRole is one signature round: root, then targets, snapshot and timestamp.
type planRole struct {
	Role    string      `json:"role"`
	From    int64       `json:"from"`
	To      int64       `json:"to"`
	Why     string      `json:"why"`
	Signers []planTally `json:"signers"`
}

// planTally is one threshold and who can meet it.
type planTally struct {
	By   string    `json:"by"`
	Need int       `json:"need"`
	Keys []planKey `json:"keys"`
}

type planKey struct {
	KeyID tuf.KeyID `json:"keyid,omitzero"` // "" for a key that is yet to be made
	Name  string    `json:"name"`
	New   bool      `json:"new,omitempty"` // gets the role with this change
}

// planAbsence says what cannot be done without one holder.
type planAbsence struct {
	planKey
	Breaks []string `json:"breaks"`
}

// runPlan shows what a rotation would do. It takes no lock, makes no key and writes
// nothing; keys that would be made are stood in for.
func (a *app) runPlan(ctx context.Context, role string, o rotateOptions) error {
	w, err := a.look()
	if err != nil {
		return err
	}
	if err := w.NeedPublished(); err != nil {
		return err
	}
	if err := o.keys.use(w.Keys); err != nil {
		return err
	}
	rot := repo.Rotation{Role: role, Remove: w.Config.KeyIDs(o.remove), Threshold: o.threshold}
	names := map[tuf.KeyID]string{}
	if len(o.set)+len(o.add)+len(o.remove) == 0 && o.threshold == 0 {
		rot.Set, err = w.standInFiles(ctx, role, names)
	} else if rot.Add, err = w.planKeys(ctx, role, o.add, o.generate, names); err == nil && len(o.set) > 0 {
		rot.Set, err = w.planKeys(ctx, role, o.set, o.generate, names)
	}
	if err != nil {
		return err
	}
	c, err := w.Repo.Rotate(w.Published, w.Staged, rot, w.StageOptions(o.allowShorter))
	if err != nil {
		return err
	}
	p := w.planOf(c, names)
	return a.print(p, p.text)
}

// standInFiles is fleetctl's rotation: as many new keys as the threshold asks for.
func (w *work) standInFiles(ctx context.Context, role string, names map[tuf.KeyID]string) ([]repo.Key, error) {
	root := w.Published.Root
	if w.Staged != nil {
		root = w.Staged.Root()
	}
	if err := w.allInFile(ctx, root, role); err != nil {
		return nil, err
	}
	var keys []repo.Key
	for range root.Threshold(role) {
		k, err := standIn(names, "a new key in "+keyring.RoleFile(role).String())
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func (w *work) planKeys(ctx context.Context, role string, uris []string, generate bool, names map[tuf.KeyID]string) ([]repo.Key, error) {
	var keys []repo.Key
	for _, s := range uris {
		u, err := w.a.kinds.Parse(s)
		if err != nil {
			return nil, err
		}
		k, err := w.planKey(ctx, role, u, generate, names)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func (w *work) planKey(ctx context.Context, role string, u signer.URI, generate bool, names map[tuf.KeyID]string) (repo.Key, error) {
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
		return repo.Key{}, err
	}
	k, err := repo.NewKey(pub)
	names[k.ID] = at.String()
	return k, err
}

// madeLater marks the name of a key that does not exist yet.
const madeLater = "(to be made) "

// standIn takes the place of a key that is yet to be made; nobody keeps it.
func standIn(names map[tuf.KeyID]string, name string) (repo.Key, error) {
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return repo.Key{}, err
	}
	k, err := repo.NewKey(pub)
	names[k.ID] = madeLater + name
	return k, err
}

func (w *work) planOf(c *repo.Change, names map[tuf.KeyID]string) plan {
	p := plan{Schema: 1, Command: "rotate --plan"}
	// An intent names keys by their IDs, and a stand-in's means nothing to anybody.
	for _, s := range c.Intents {
		for id, name := range names {
			if strings.HasPrefix(name, madeLater) {
				s = strings.ReplaceAll(s, "key "+id.Short(), strings.TrimPrefix(name, madeLater))
			}
		}
		p.Intents = append(p.Intents, s)
	}
	why := map[string]string{
		repo.RoleRoot:    "it names the keys and thresholds of every role",
		repo.RoleTargets: "the published signatures do not meet the new root, or its content changes",
	}
	for _, d := range c.Docs() {
		r := planRole{Role: d.Role(), From: w.Published.VersionOf(d.Role()), To: d.Version(), Why: why[d.Role()]}
		if d.Role() == repo.RoleRoot {
			r.Signers = []planTally{w.tallyOf("published root", repo.RoleRoot, w.Published.Root, names), w.tallyOf("new root", repo.RoleRoot, c.Root(), names)}
		} else {
			r.Signers = []planTally{w.tallyOf(d.Role(), d.Role(), c.Root(), names)}
		}
		p.Roles = append(p.Roles, r)
	}
	for _, role := range w.Repo.Following(w.Published, c, repo.ReleaseOptions{Expiries: w.Config.Expiries}) {
		p.Roles = append(p.Roles, planRole{
			Role: role, From: w.Published.VersionOf(role), To: w.Published.VersionOf(role) + 1, Why: `signed by "commit", after everybody else`,
			Signers: []planTally{w.tallyOf(role, role, c.Root(), names)},
		})
	}
	p.findAbsent()
	return p
}

func (w *work) tallyOf(by, role string, root *repo.Root, names map[tuf.KeyID]string) planTally {
	t := planTally{By: by, Need: root.Threshold(role)}
	for _, k := range root.Keys(role) {
		pk := planKey{KeyID: k.ID, Name: names[k.ID], New: !hasKeyID(w.Published.Root.Keys(role), k.ID)}
		switch {
		case strings.HasPrefix(pk.Name, madeLater):
			pk.KeyID = tuf.KeyID{}
		case pk.Name == "":
			pk.Name = w.Keys.Name(role, k)
		}
		t.Keys = append(t.Keys, pk)
	}
	return t
}

// findAbsent asks for each key alone what cannot be signed without it.
func (p *plan) findAbsent() {
	var order []planKey
	breaks := map[planKey][]string{}
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
		p.Absent = append(p.Absent, planAbsence{planKey: k, Breaks: append([]string{}, breaks[k]...)})
	}
}

func (p plan) text(out *prompt.Writer) {
	for _, s := range p.Intents {
		out.Printf("intent    %s\n", prompt.Quote(s))
	}
	for _, r := range p.Roles {
		out.Printf("\n%s v%d -> v%d  (%s)\n", strings.ToUpper(r.Role), r.From, r.To, r.Why)
		for _, t := range r.Signers {
			out.Printf("  %d of %d  (%s)\n", t.Need, len(t.Keys), t.By)
			for _, k := range t.Keys {
				if k.New {
					out.Printf("    %s  new in this role\n", k.label())
				} else {
					out.Printf("    %s\n", k.label())
				}
			}
		}
	}
	out.Printf("\nIf one is absent:\n")
	for _, a := range p.Absent {
		if len(a.Breaks) == 0 {
			out.Printf("  %s: the others are enough\n", a.label())
			continue
		}
		out.Printf("  %s: nothing is published, %s cannot be signed\n", a.label(), strings.Join(a.Breaks, ", "))
	}
	out.Printf("\nThis is a plan: nothing was written and no key was made.\n")
}

func (k planKey) label() prompt.Text {
	if k.KeyID.IsZero() || strings.Contains(k.Name, k.KeyID.Short()) {
		return prompt.Sprintf("%s", k.Name)
	}
	return prompt.Sprintf("%s  %s", k.KeyID.Short(), k.Name)
}
