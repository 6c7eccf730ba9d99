package keyring

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/file"
)

// shelf is a back end of devices in memory, by name. A device holds one key; one that asks
// for a PIN asks its UI for it.
type shelf struct {
	devices map[string]*device
	log     *[]string
}

type device struct {
	key    *ecdsa.PrivateKey
	absent bool
	secret bool
	origin string
	err    error // what signing answers
}

type held struct {
	d   *device
	at  signer.URI
	ui  signer.UI
	log *[]string
}

func (h held) URI() signer.URI          { return h.at }
func (h held) Public() crypto.PublicKey { return &h.d.key.PublicKey }
func (h held) Close() error             { return nil }

func (h held) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if h.d.secret {
		if _, err := h.ui.Secret(ctx, signer.SecretRequest{Kind: signer.PIN, URI: h.at, Device: h.at.String()}); err != nil {
			return nil, err
		}
	}
	if err := h.d.err; err != nil {
		return nil, err
	}
	*h.log = append(*h.log, h.at.String())
	sum := sha256.Sum256(message)
	return ecdsa.SignASN1(rand.Reader, h.d.key, sum[:])
}

func (s shelf) Open(_ context.Context, ref signer.Ref, ui signer.UI) (signer.Signer, error) {
	name, _ := ref.URI.Attr("name")
	d, ok := s.devices[name]
	if !ok || d.absent {
		return nil, &signer.NotFoundError{What: "device", URI: ref.URI, Cause: signer.ErrNoToken}
	}
	if ref.Pinned != nil && !signer.SamePublic(ref.Pinned, &d.key.PublicKey) {
		return nil, &signer.KeyChangedError{URI: ref.URI}
	}
	return held{d, ref.URI, ui, s.log}, nil
}

func (s shelf) Tokens(_ context.Context, u signer.URI) ([]signer.Token, error) {
	var out []signer.Token
	for name, d := range s.devices {
		if want, ok := u.Attr("name"); !d.absent && (!ok || want == name) {
			out = append(out, signer.Token{URI: u.With("name", name), Kind: u.Scheme, Serial: name})
		}
	}
	return out, nil
}

func (s shelf) Describe(_ context.Context, ref signer.Ref, _ signer.UI) (signer.KeyInfo, error) {
	name, _ := ref.URI.Attr("name")
	return signer.KeyInfo{URI: ref.URI, Origin: s.devices[name].origin}, nil
}

// crowd is a person in a test.
type crowd struct {
	own    []bool // of each secret that was asked for
	insert func(at []signer.URI) bool
}

func (c *crowd) Secret(_ context.Context, r signer.SecretRequest) (signer.Secret, error) {
	c.own = append(c.own, r.Own)
	return signer.NewSecret([]byte("1234")), nil
}
func (*crowd) Touch(context.Context, signer.TouchRequest) func()  { return func() {} }
func (*crowd) Insert(context.Context, signer.InsertRequest) error { return nil }
func (c *crowd) InsertAny(_ context.Context, at []signer.URI, _ string) (bool, error) {
	if c.insert == nil {
		return false, signer.ErrNoTerminal
	}
	return c.insert(at), nil
}
func (*crowd) OnceMore(context.Context, signer.URI) bool { return false }
func (*crowd) Named(at signer.URI) string                { return at.String() }

// named says where the PIN of each device comes from, by its name, or from a general source.
type named struct {
	own     map[string]string
	general string
}

func (n named) OwnSources(at signer.URI) ([]string, error) {
	name, _ := at.Attr("name")
	if s := n.own[name]; s != "" {
		return []string{s}, nil
	}
	return nil, nil
}

func (n named) PINSources(r signer.SecretRequest) ([]string, error) {
	out, err := n.OwnSources(r.URI)
	if n.general != "" {
		out = append(out, n.general)
	}
	return out, err
}

func (named) EnvPassphrase(string) bool { return false }

type bench struct {
	ring    *Ring
	devices map[string]*device
	keys    map[string]meta.Key
	log     []string // the places that signed
	cfg     *config.Config
}

// newBench is a ring over devices: "card:" wants a person and can be inserted, "box:" wants
// nobody.
func newBench(t *testing.T, text string, src named, devices ...string) *bench {
	t.Helper()
	b := &bench{devices: map[string]*device{}, keys: map[string]meta.Key{}}
	for _, name := range devices {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		b.devices[name] = &device{key: key}
		if b.keys[name], err = meta.NewKey(&key.PublicKey); err != nil {
			t.Fatal(err)
		}
	}
	be := func(string, func(string) string) signer.Backend { return shelf{b.devices, &b.log} }
	kinds := signer.Kinds{
		file.Kind(), signer.PublicPart(),
		{Scheme: "box", Device: []string{"name"}, Key: []string{"ref"}, New: be},
		{Scheme: "card", Device: []string{"name"}, Key: []string{"ref"}, Person: true, Insertable: true, New: be},
	}
	for name, k := range b.keys {
		text = strings.ReplaceAll(text, "<"+name+">", k.ID.String())
	}
	var err error
	if b.cfg, err = config.Parse([]byte(text), kinds); err != nil {
		t.Fatal(err)
	}
	quiet := func(string, ...any) {}
	if b.ring, err = New(Options{Kinds: kinds, Folder: t.TempDir(), Config: b.cfg, Sources: src, Note: quiet, Warn: quiet}); err != nil {
		t.Fatal(err)
	}
	return b
}

// doc is a new root that wants threshold of the named keys.
func (b *bench) doc(t *testing.T, threshold int, names ...string) *meta.Doc {
	t.Helper()
	keys := map[string][]meta.Key{}
	for _, role := range meta.Roles() {
		keys[role] = []meta.Key{b.keys[names[0]]}
	}
	keys[meta.RoleRoot] = nil
	for _, name := range names {
		keys[meta.RoleRoot] = append(keys[meta.RoleRoot], b.keys[name])
	}
	r := repo.Open(t.TempDir(), repo.Options{Now: time.Now})
	c, err := r.Init(repo.InitOptions{Keys: keys, Thresholds: map[string]int{"root": threshold, "targets": 1, "snapshot": 1, "timestamp": 1}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Doc(meta.RoleRoot)
}

const three = `keys: {<a>: {uri: "card:name=a"}, <b>: {uri: "box:name=b"}, <c>: {uri: "card:name=c", name: blue}}`
