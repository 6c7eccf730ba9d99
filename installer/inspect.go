package installer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// Inspection is what an installer of Fleet's agent pins.
type Inspection struct {
	File    string `json:"file"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch"`
	SHA256  string `json:"sha256"`

	UpdateURL string            `json:"update_url"`
	FleetURL  string            `json:"fleet_url,omitempty"`
	Channels  map[string]string `json:"channels"`
	// Secret says that an enroll secret is inside; it is never shown.
	Secret bool `json:"enroll_secret"`

	// Pinned is false if the agent would trust the root that is compiled into it.
	Pinned     bool              `json:"pinned"`
	Roles      []InspectedRole   `json:"roles"`
	Components []InspectedTarget `json:"components"`
	// Faults are what an agent would refuse in the store, or miss.
	Faults []string `json:"faults"`

	root []byte
}

// InspectedRole is what the store holds of a role; the keys are those that root names.
type InspectedRole struct {
	Role      string    `json:"role"`
	Version   int64     `json:"version"`
	Expires   time.Time `json:"expires"`
	Expired   bool      `json:"expired"`
	Threshold int       `json:"threshold"`
	KeyIDs    []string  `json:"keyids"`
}

// InspectedTarget is a component inside. Signed: it is what the store's targets.json
// names.
type InspectedTarget struct {
	Component
	Signed bool `json:"signed"`
}

// ServedAt is the address that agents ask, empty if it is none: what a package says is
// followed to a server, never to a file.
func (i *Inspection) ServedAt() string {
	if u, err := checkURL("update URL", i.UpdateURL); err == nil {
		return u.String()
	}
	return ""
}

// gathered is what was found on the way through a package.
type gathered struct {
	store, oldStore, environment []byte
	sums                         map[string]string // sha512 of what lies below bin/
}

const binFolder = "/opt/orbit/bin/"

func (g *gathered) take(name string, r io.Reader) (err error) {
	keep := func(to *[]byte) error {
		*to, err = io.ReadAll(io.LimitReader(r, maxControl))
		return err
	}
	switch name {
	case "/opt/orbit/" + storeName:
		return keep(&g.store)
	case "/opt/orbit/" + oldStoreName:
		return keep(&g.oldStore)
	case environmentFile:
		return keep(&g.environment)
	}
	target, ok := strings.CutPrefix(name, binFolder)
	if !ok || strings.Count(target, "/") != 3 || len(g.sums) > 1000 {
		return nil
	}
	sum := sha512.New()
	_, err = io.Copy(sum, r)
	g.sums[target] = hex.EncodeToString(sum.Sum(nil))
	return err
}

// Inspect reads an installer. Errors: *Error for a file that is none.
func Inspect(ctx context.Context, file string, now time.Time) (*Inspection, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, &Error{Kind: NotInstaller, About: fmt.Sprintf("%q", file), Text: "cannot be read", Err: errors.Unwrap(err)}
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	whole := io.TeeReader(f, sum)
	g := &gathered{sums: map[string]string{}}
	l, err := readArchive(whole, g.take)
	if err == nil {
		_, err = io.Copy(io.Discard, whole)
	}
	if err != nil {
		return nil, &Error{Kind: NotInstaller, About: fmt.Sprintf("%q", file), Text: "is not an installer that can be read", Err: err}
	}
	if g.environment == nil && g.store == nil && g.oldStore == nil {
		return nil, &Error{Kind: NotInstaller, About: fmt.Sprintf("%q", file), Text: fmt.Sprintf("is the package %q, which holds no agent of Fleet", l.name)}
	}
	i := &Inspection{File: file, Type: l.kind, Name: l.name, Version: l.version, Arch: l.arch, SHA256: hex.EncodeToString(sum.Sum(nil)), Faults: []string{}}
	i.readEnvironment(g.environment)
	return i, i.readStore(ctx, g, now)
}

// readEnvironment reads what the agent is told; the channels are those it asks for.
func (i *Inspection) readEnvironment(text []byte) {
	i.Channels = map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		value = unquoted(value)
		switch name {
		case "ORBIT_UPDATE_URL":
			i.UpdateURL = value
		case "ORBIT_FLEET_URL":
			i.FleetURL = value
		case "ORBIT_ENROLL_SECRET":
			i.Secret = value != ""
		case "ORBIT_ORBIT_CHANNEL", "ORBIT_OSQUERYD_CHANNEL", "ORBIT_DESKTOP_CHANNEL":
			i.Channels[strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(name, "ORBIT_"), "_CHANNEL"))] = value
		}
	}
	if i.UpdateURL == "" {
		i.Faults = append(i.Faults, fmt.Sprintf("%s names no update URL: the agent uses Fleet's own", environmentFile))
	} else if _, err := checkURL("update URL", i.UpdateURL); err != nil {
		i.Faults = append(i.Faults, fmt.Sprintf("%s: %v", environmentFile, err))
	}
}

// readStore reads what the agent begins with. Agents of today read one name of the store,
// those before orbit 1.38 the other.
func (i *Inspection) readStore(ctx context.Context, g *gathered, now time.Time) error {
	store := g.store
	switch {
	case g.store == nil && g.oldStore == nil:
		i.Faults = append(i.Faults, fmt.Sprintf("%q is not there: the agent trusts the root that is compiled into it", "/opt/orbit/"+storeName))
		return nil
	case g.store == nil:
		store = g.oldStore
		i.Faults = append(i.Faults, fmt.Sprintf("%q is not there: orbit 1.38 and later trusts the root that is compiled into it", "/opt/orbit/"+storeName))
	case g.oldStore != nil && !bytes.Equal(g.store, g.oldStore):
		i.Faults = append(i.Faults, fmt.Sprintf("%q and %q are not the same", storeName, oldStoreName))
	}
	held := map[string]json.RawMessage{}
	// The agent's store is written over without being cut: a tail means nothing.
	if err := json.NewDecoder(bytes.NewReader(store)).Decode(&held); err != nil {
		return &Error{Kind: NotInstaller, About: fmt.Sprintf("%q", i.File), Text: "holds a store that is not JSON", Err: err}
	}
	i.root, i.Pinned = held["root.json"], held["root.json"] != nil
	report, err := verifyHeld(ctx, held, now)
	if err != nil {
		return err
	}
	i.readReport(report)
	i.match(g.sums, report.Named())
	return nil
}

// readReport takes over what verify says of the store.
func (i *Inspection) readReport(report *verify.Report) {
	var root struct {
		Signed struct {
			Roles map[string]struct {
				KeyIDs []string `json:"keyids"`
			} `json:"roles"`
		} `json:"signed"`
	}
	// verify has said it if it is no root.
	_ = json.Unmarshal(i.root, &root)
	for _, r := range report.Roles {
		keys := slices.Sorted(slices.Values(root.Signed.Roles[r.Name].KeyIDs))
		i.Roles = append(i.Roles, InspectedRole{Role: r.Name, Version: r.Version, Expires: r.Expires, Expired: r.Expired, Threshold: r.Threshold, KeyIDs: keys})
	}
	for _, f := range report.Findings {
		if f.Severity == verify.Error && !tolerated(f.Code) && !report.OnlyExpiry(f) {
			i.Faults = append(i.Faults, f.String())
		}
	}
}

// match compares what is inside with what the store says of it.
func (i *Inspection) match(sums map[string]string, named map[string]verify.Named) {
	for target, sum := range sums {
		parts := strings.Split(target, "/")
		n, ok := named[target]
		t := InspectedTarget{Component: Component{Name: parts[0], Platform: parts[1], Channel: parts[2], Version: n.Version}, Signed: ok && n.SHA512 == sum}
		i.Components = append(i.Components, t)
		if !t.Signed {
			i.Faults = append(i.Faults, fmt.Sprintf("%q is not what the store's targets.json names: the agent downloads it again", path.Join(binFolder, target)))
		}
	}
	slices.SortFunc(i.Components, func(a, b InspectedTarget) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(i.Faults)
}
