package watch_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/verify"
	"github.com/fleet-hsm/fleet-hsm/watch"
)

// clock is a simulated one: whoever sleeps moves it.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	slept func()
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	if c.slept != nil {
		c.slept()
	}
	return ctx.Err()
}

type key struct {
	id      tuf.KeyID
	entry   map[string]any
	private ed25519.PrivateKey
}

func newKey(t testing.TB) key {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	check(t, err)
	entry := map[string]any{"keytype": "ed25519", "scheme": "ed25519", "keyid_hash_algorithms": []string{"sha256", "sha512"}, "keyval": map[string]any{"public": hex.EncodeToString(pub)}}
	text, err := cjson.EncodeCanonical(entry)
	check(t, err)
	sum := sha256.Sum256(text)
	id, err := tuf.ParseKeyID(hex.EncodeToString(sum[:]))
	check(t, err)
	return key{id, entry, priv}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// version is a state of the web root, from a moment on.
type version struct {
	at    time.Time
	files map[string][]byte
}

// publisher is a repository and everybody who signs for it, with consistent snapshots.
type publisher struct {
	t          testing.TB
	clock      *clock
	keys       map[string]key
	versions   map[string]int64
	targets    map[string]string // path -> content
	validity   map[string]time.Duration
	history    []version
	files      map[string][]byte
	transcript string
	// silent: what is signed stands in no transcript, as when somebody stole the keys.
	silent bool
}

const day = 24 * time.Hour

func newPublisher(t testing.TB) *publisher {
	p := &publisher{
		t: t, clock: &clock{now: time.Now().UTC().Truncate(time.Second)}, keys: map[string]key{}, versions: map[string]int64{},
		targets:  map[string]string{"orbit/linux/stable/orbit": "orbit 1", "desktop/linux/stable/desktop.tar.gz": "desktop 1", "osqueryd/linux/stable/osqueryd": "osqueryd 1"},
		validity: map[string]time.Duration{"root": 3650 * day, "targets": 1095 * day, "snapshot": 1095 * day, "timestamp": 14 * day},
		files:    map[string][]byte{}, transcript: filepath.Join(t.TempDir(), "transcript"),
	}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		p.keys[role] = newKey(t)
	}
	p.signRoot(p.keys["root"])
	p.release()
	return p
}

func (p *publisher) log(role string, payload []byte) {
	if p.silent {
		return
	}
	sum := sha256.Sum256(payload)
	check(p.t, ceremony.Append(p.transcript, ceremony.Event{Event: ceremony.EventSignature, Time: p.clock.Now(), Role: role, Version: p.versions[role], SHA256: hex.EncodeToString(sum[:]), KeyID: p.keys[role].id, Signature: "00"}))
}

// logOnline begins a log of the unattended signer.
func (p *publisher) logOnline(file string) {
	check(p.t, ceremony.Append(file, ceremony.Event{Event: ceremony.EventStart, Command: "online"}))
}

// sign makes the next version of a role.
func (p *publisher) sign(role string, body map[string]any, with ...key) []byte {
	p.versions[role]++
	body["_type"], body["spec_version"], body["version"] = role, "1.0", p.versions[role]
	body["expires"] = p.clock.Now().Add(p.validity[role]).UTC().Format("2006-01-02T15:04:05Z")
	payload, err := cjson.EncodeCanonical(body)
	check(p.t, err)
	var sigs []map[string]string
	for _, k := range with {
		sigs = append(sigs, map[string]string{"keyid": k.id.String(), "sig": hex.EncodeToString(ed25519.Sign(k.private, payload))})
	}
	data, err := json.Marshal(map[string]any{"signatures": sigs, "signed": json.RawMessage(payload)})
	check(p.t, err)
	p.log(role, payload)
	return data
}

func (p *publisher) signRoot(with ...key) {
	keys, roles := map[string]any{}, map[string]any{}
	for role, k := range p.keys {
		keys[k.id.String()] = k.entry
		roles[role] = map[string]any{"keyids": []string{k.id.String()}, "threshold": 1}
	}
	data := p.sign("root", map[string]any{"consistent_snapshot": true, "keys": keys, "roles": roles}, with...)
	p.files[fmt.Sprintf("%d.root.json", p.versions["root"])] = data
	p.files["root.json"] = data
}

func fileMeta(data []byte, version int64) map[string]any {
	sum := sha512.Sum512(data)
	return map[string]any{"length": len(data), "hashes": map[string]string{"sha512": hex.EncodeToString(sum[:])}, "version": version}
}

// release signs targets, snapshot and timestamp.
func (p *publisher) release() {
	all := map[string]any{}
	for name, content := range p.targets {
		sum := sha512.Sum512([]byte(content))
		hash := hex.EncodeToString(sum[:])
		all[name] = map[string]any{"length": len(content), "hashes": map[string]string{"sha512": hash}, "custom": map[string]string{"version": "1.0.0"}}
		p.files["targets/"+path.Join(path.Dir(name), hash+"."+path.Base(name))] = []byte(content)
	}
	data := p.sign("targets", map[string]any{"targets": all}, p.keys["targets"])
	p.put("targets", data)
	data = p.sign("snapshot", map[string]any{"meta": map[string]any{"targets.json": fileMeta(data, p.versions["targets"])}}, p.keys["snapshot"])
	p.put("snapshot", data)
	p.renew()
}

func (p *publisher) put(role string, data []byte) {
	p.files[role+".json"] = data
	p.files[fmt.Sprintf("%d.%s.json", p.versions[role], role)] = data
}

// renew signs a timestamp and publishes all that is new.
func (p *publisher) renew() {
	p.files["timestamp.json"] = p.sign("timestamp", map[string]any{"meta": map[string]any{"snapshot.json": fileMeta(p.files["snapshot.json"], p.versions["snapshot"])}}, p.keys["timestamp"])
	p.publish()
}

func (p *publisher) publish() {
	p.history = append(p.history, version{p.clock.Now(), maps.Clone(p.files)})
}

// forget drops what no edge shows any more.
func (p *publisher) forget(ago time.Duration) {
	at := p.clock.Now().Add(-ago)
	for len(p.history) > 1 && p.history[1].at.Before(at) {
		p.history = p.history[1:]
	}
}

// rotate gives a role a new key.
func (p *publisher) rotate(role string) {
	old := p.keys["root"]
	p.keys[role] = newKey(p.t)
	if role == "root" {
		p.signRoot(old, p.keys["root"])
	} else {
		p.signRoot(old)
	}
	p.release()
}

// state is the web root as it was some time ago.
func (p *publisher) state(ago time.Duration) map[string][]byte {
	at := p.clock.Now().Add(-ago)
	last := p.history[0].files
	for _, v := range p.history {
		if !v.at.After(at) {
			last = v.files
		}
	}
	return last
}

// edge shows the repository with a delay; over may answer a file otherwise.
type edge struct {
	p     *publisher
	delay time.Duration
	down  bool
	over  map[string][]byte
}

func (e *edge) Open(_ context.Context, name string) (io.ReadCloser, int64, string, error) {
	if e.down {
		return nil, 0, "", fmt.Errorf("connection refused")
	}
	data, ok := e.over[name]
	if !ok {
		data, ok = e.p.state(e.delay)[name]
	}
	if !ok {
		return nil, 0, "", fs.ErrNotExist
	}
	sum := sha256.Sum256(data)
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), hex.EncodeToString(sum[:]), nil
}

// site is an address over HTTP, for answers that only a web server gives.
type site struct {
	edge
	status map[string]int
	url    string
}

func (p *publisher) site() *site {
	s := &site{edge: edge{p: p, over: map[string][]byte{}}, status: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Path[1:]
		switch code := s.status[name]; {
		case code < 0: // the connection breaks
			panic(http.ErrAbortHandler)
		case code > 0:
			w.WriteHeader(code)
			return
		}
		f, size, mark, err := s.Open(r.Context(), name)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"`+mark+`"`)
		w.Header().Set("Content-Length", fmt.Sprint(size))
		_, _ = io.Copy(w, f)
	}))
	p.t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// alter changes a letter in the middle of a file.
func alter(t testing.TB, file string) {
	data, err := os.ReadFile(file)
	check(t, err)
	check(t, os.WriteFile(file, bytes.Replace(data, []byte("snapshot"), []byte("snapshoT"), 1), 0o600))
}

// bench is a watch of some addresses.
type bench struct {
	t      testing.TB
	p      *publisher
	cfg    watch.Config
	s      *watch.Service
	events []watch.Event
}

func (p *publisher) address(name string, files verify.Files, url string) watch.Address {
	o := verify.Options{Source: name, Files: files, Root: p.files["1.root.json"], MetadataOnly: true}
	if url != "" {
		o.Source = url
	}
	place, err := verify.Open(o)
	check(p.t, err)
	return watch.Address{Name: name, Place: place}
}

func early(role string) time.Duration {
	if role == "timestamp" {
		return 3 * day
	}
	return 30 * day
}

func (p *publisher) watch(addresses ...watch.Address) *bench {
	b := &bench{t: p.t, p: p}
	b.cfg = watch.Config{Addresses: addresses, Root: p.files["1.root.json"], Transcripts: []string{p.transcript}, Early: early, Clock: p.clock,
		StateFile: filepath.Join(p.t.TempDir(), "state.json"), Tell: func(e watch.Event) {
			if e.Kind != watch.NewVersion {
				b.events = append(b.events, e)
			}
		}}
	b.start()
	return b
}

// start begins anew, as after a restart: the state file is all that is left.
func (b *bench) start() {
	s, err := watch.New(b.cfg)
	check(b.t, err)
	b.s = s
}

func (b *bench) poll() {
	b.t.Helper()
	check(b.t, b.s.Poll(b.t.Context()))
}

func (b *bench) quiet(when string) {
	b.t.Helper()
	for _, e := range b.events {
		b.t.Errorf("%s, at %s: %s", when, e.Time, e)
	}
	b.events = nil
}
