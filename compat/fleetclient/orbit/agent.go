package orbit

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"

	"github.com/theupdateframework/go-tuf/client"
	"github.com/theupdateframework/go-tuf/data"
)

// StoreFile is the name of the local store inside Options.Dir.
const StoreFile = "updates-metadata.json"

// agentVersion stands in the User-Agent; servers and their logs may look at it.
const agentVersion = "1.38.0"

// ErrNoRoot: the local store is empty and no root was pinned.
var ErrNoRoot = errors.New("the local store is empty and no pinned root was given")

// Options say which repository an agent follows and what it trusts.
type Options struct {
	// URL is the web root, used as a plain prefix: http or https.
	URL string
	// Dir is the agent's folder; empty keeps everything in memory.
	Dir string
	// Root is the pinned root.json (signed metadata), used only while the store is
	// empty.
	Root []byte
	// CAs replace the system's certificate authorities; nil keeps those.
	CAs *x509.CertPool
}

// Agent is one run of the client: from Open to the end of the process.
type Agent struct {
	opts   Options
	http   *http.Client
	local  client.LocalStore
	client *client.Client
}

// Open starts an agent on its folder and, if the store holds no root yet, pins
// Options.Root. It makes no request. The expiry of the pinned root is not looked at.
func Open(opts Options) (*Agent, error) {
	local, err := openStore(opts.Dir)
	if err != nil {
		return nil, err
	}
	web := httpClient(opts.CAs)
	remote, err := client.HTTPRemoteStore(opts.URL, &client.HTTPRemoteOptions{UserAgent: UserAgent()}, web)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", opts.URL, err)
	}
	a := &Agent{opts: opts, http: web, local: local, client: client.NewClient(local, remote)}
	meta, err := local.GetMeta()
	if err != nil {
		return nil, fmt.Errorf("reading local metadata: %w", err)
	}
	if meta["root.json"] != nil {
		return a, nil
	}
	if len(opts.Root) == 0 {
		return nil, ErrNoRoot
	}
	if err := a.client.Init(opts.Root); err != nil {
		return nil, fmt.Errorf("pinning root: %w", err)
	}
	return a, nil
}

func openStore(dir string) (client.LocalStore, error) {
	if dir == "" {
		return client.MemoryLocalStore(), nil
	}
	return openFileStore(filepath.Join(dir, StoreFile))
}

// Close drops the agent's idle connections; loops that open many agents need it.
func (a *Agent) Close() { a.http.CloseIdleConnections() }

// UserAgent is what agents send: orbit/VERSION (OS ARCH).
func UserAgent() string {
	return fmt.Sprintf("orbit/%s (%s %s)", agentVersion, runtime.GOOS, runtime.GOARCH)
}

func httpClient(cas *x509.CertPool) *http.Client {
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: cas, MinVersion: tls.VersionTLS12},
	}
	return &http.Client{Transport: transport}
}

// Update refreshes metadata, exactly as go-tuf v0.5.2 does: newer roots one by one,
// timestamp, snapshot, targets. Success does not mean that the newest targets are
// held; see the package doc.
func (a *Agent) Update() error {
	if _, err := a.client.Update(); err != nil {
		return fmt.Errorf("updating metadata: %w", err)
	}
	return nil
}

// Versions are those of the stored metadata; 0 where none is stored.
type Versions struct {
	Root      int64 `json:"root"`
	Targets   int64 `json:"targets"`
	Snapshot  int64 `json:"snapshot"`
	Timestamp int64 `json:"timestamp"`
}

// Versions reads the stored metadata, without verifying it again.
func (a *Agent) Versions() (Versions, error) {
	meta, err := a.local.GetMeta()
	if err != nil {
		return Versions{}, fmt.Errorf("reading local metadata: %w", err)
	}
	var v Versions
	for name, field := range map[string]*int64{
		"root.json": &v.Root, "targets.json": &v.Targets,
		"snapshot.json": &v.Snapshot, "timestamp.json": &v.Timestamp,
	} {
		raw, ok := meta[name]
		if !ok {
			continue
		}
		if *field, err = versionOf(raw); err != nil {
			return Versions{}, fmt.Errorf("reading stored %q: %w", name, err)
		}
	}
	return v, nil
}

func versionOf(raw []byte) (int64, error) {
	var envelope struct {
		Signed struct {
			Version int64 `json:"version"`
		} `json:"signed"`
	}
	err := json.Unmarshal(raw, &envelope)
	return envelope.Signed.Version, err
}

// Lookup gives what the metadata says of a target path, for example
// "orbit/linux/stable/orbit". It fails on an unknown target and when root, snapshot
// or targets are expired or not stored; it asks the server only if the stored
// targets.json is not the one that the stored snapshot names.
func (a *Agent) Lookup(name string) (data.TargetFileMeta, error) {
	meta, err := a.client.Target(name)
	if err != nil {
		return data.TargetFileMeta{}, fmt.Errorf("looking up %q: %w", name, err)
	}
	return meta, nil
}

// Targets gives all targets the agent knows, by path.
func (a *Agent) Targets() (data.TargetFiles, error) {
	targets, err := a.client.Targets()
	if err != nil {
		return nil, fmt.Errorf("listing targets: %w", err)
	}
	return targets, nil
}
