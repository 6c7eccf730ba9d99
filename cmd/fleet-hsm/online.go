package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/online"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/store"
)

// onStore are the flags of what signs straight on a store.
type onStore struct {
	store        storeFlags
	root         string
	renewBefore  config.Duration
	interval     config.Duration
	listen       string
	allowShorter bool
	expires      []string
	keys         roleKeyFlags
	memory       memoryFlags
}

func (a *app) onlineCommand() *cobra.Command {
	o := onStore{interval: config.Duration(time.Minute), listen: online.DefaultListen}
	cmd := &cobra.Command{
		Use:   "online",
		Short: "Keep the timestamp on a store fresh, unattended",
		Long: `online works straight on the store that serves the agents, with the trusted root and
the timestamp key and nothing else. It signs when half of the validity is left, or when
a newer snapshot waits; several may run at once. It refuses to renew over a root,
snapshot or targets that expired or do not verify, and over anything older than what it
has seen or signed: its state file (--state) remembers that. Metrics are at /metrics, health at
/healthz and /readyz, on loopback unless --listen says otherwise.`,
		Example: `  fleet-hsm online --store "s3://updates/fleet?region=eu-1" --root root.json --timestamp-key "pkcs11:token=fleet;object=timestamp"
  fleet-hsm online --listen 127.0.0.1:9471 --renew-before 5d`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runOnline(cmd.Context(), o) },
	}
	f := cmd.Flags()
	o.store.add(f)
	f.StringVar(&o.store.url, "store", "", "where the repository is published (default: store: in the configuration)")
	f.StringVar(&o.root, "root", "", "trusted root.json (default: the oldest one in repository/)")
	f.Var(&o.renewBefore, "renew-before", "renew when less than this is left (default: half of the validity)")
	f.Var(&o.interval, "interval", "pause between two checks")
	f.StringVar(&o.listen, "listen", o.listen, `address of metrics and health; "" for none`)
	takesNothing(f, "listen", "no address at all")
	f.BoolVar(&o.allowShorter, "allow-shorter", false, "accept an expiry before the published one")
	f.StringArrayVar(&o.expires, "expires", nil, "validity, as timestamp=DURATION")
	o.keys = addRoleKeyFlags(f, repo.RoleTimestamp)
	o.memory.add(f)
	return cmd
}

// onlineConfig joins store, root and keys.
func (a *app) onlineConfig(ctx context.Context, o onStore) (online.Config, error) {
	cfg, err := a.config()
	if err != nil {
		return online.Config{}, err
	}
	if err := cfg.Override(o.expires); err != nil {
		return online.Config{}, err
	}
	s, _, err := a.openStore(nil, o.store)
	if err != nil {
		return online.Config{}, err
	}
	root, err := a.rootToTrust(o.root)
	if err != nil {
		return online.Config{}, err
	}
	keys, err := a.keychain()
	if err != nil {
		return online.Config{}, err
	}
	if err := o.keys.use(keys); err != nil {
		return online.Config{}, err
	}
	sources, err := timestampSources(keys, a.person(), cfg, root)
	if err != nil {
		return online.Config{}, err
	}
	if len(sources) == 0 {
		return online.Config{}, usagef("name the timestamp key with --timestamp-key URI, or in keys: of the configuration")
	}
	if err := keys.CheckPINSources(ctx, nil); err != nil {
		return online.Config{}, err
	}
	state, err := o.memory.file(s.String())
	if err != nil {
		return online.Config{}, err
	}
	return online.Config{
		StateFile: state, AcceptExpired: o.memory.acceptExpired, AcceptOlder: o.memory.acceptOlder,
		Store: store.Plain{Store: s}, Root: root, Keys: sources, Expires: cfg.Expiries[repo.RoleTimestamp],
		RenewBefore: time.Duration(o.renewBefore), Interval: time.Duration(o.interval), AllowShorter: o.allowShorter,
		Silent: silentDevice,
	}, nil
}

// silentDevice: no answer came from a key's device. After a wrong PIN there must be no
// new process on that account: it would offer that PIN again.
func silentDevice(err error) bool {
	return (errors.Is(err, signer.ErrUnreachable) || errors.Is(err, signer.ErrDeadline)) &&
		!errors.Is(err, signer.ErrPINIncorrect) && !errors.Is(err, signer.ErrPINLocked)
}

// timestampSources lists where timestamp keys may be, in the order in which they are
// asked: the flags, or the configuration's keys that are or may become timestamp keys,
// then keys/timestamp.json.
func timestampSources(k *keyring.Ring, ui signer.UI, cfg *config.Config, trusted []byte) ([]online.KeySource, error) {
	if len(k.URIs[repo.RoleTimestamp]) == 0 {
		root, err := repo.ReadRoot("trusted root", trusted)
		if err != nil {
			return nil, err
		}
		// From here on they count where a PIN source could mean two tokens.
		k.URIs[repo.RoleTimestamp] = configured(cfg, root)
		if file := keyring.RoleFile(repo.RoleTimestamp); k.Files.Exists(file) {
			k.URIs[repo.RoleTimestamp] = append(k.URIs[repo.RoleTimestamp], file)
		}
	}
	var out []online.KeySource
	seen := map[string]bool{}
	for _, u := range k.URIs[repo.RoleTimestamp] {
		if !seen[u.String()] {
			seen[u.String()] = true
			out = append(out, keySource{k, ui, u})
		}
	}
	return out, nil
}

// configured gives the places of the keys that root names for timestamp, then of those
// that it names for nothing: a later root may. Both in the order of key IDs. Keys of
// other roles are left alone: nobody must be asked for the card of a root key.
func configured(cfg *config.Config, root *repo.Root) []signer.URI {
	role := map[tuf.KeyID]string{}
	for _, name := range repo.Roles() {
		for _, key := range root.Keys(name) {
			if role[key.ID] != repo.RoleTimestamp {
				role[key.ID] = name
			}
		}
	}
	var now, later []signer.URI
	for _, id := range slices.SortedFunc(maps.Keys(cfg.Locations), tuf.KeyID.Compare) {
		switch role[id] {
		case repo.RoleTimestamp:
			now = append(now, cfg.Locations[id])
		case "":
			later = append(later, cfg.Locations[id])
		}
	}
	return append(now, later...)
}

// keySource is a place of a key, for online.
type keySource struct {
	k   *keyring.Ring
	ui  signer.UI
	uri signer.URI
}

func (s keySource) Name() string { return s.uri.String() }

// Open opens whichever of the role's keys is there.
func (s keySource) Open(ctx context.Context, role []crypto.PublicKey) (online.Key, error) {
	var last error
	for _, pub := range role {
		key, err := s.k.Backends.Open(ctx, signer.Ref{URI: s.uri, Pinned: pub, Roles: []string{repo.RoleTimestamp}}, s.ui)
		if err != nil {
			last = err
			if errors.Is(err, signer.ErrKeyChanged) {
				continue
			}
			return nil, err
		}
		if u, ok := key.(signer.Unlocker); ok && s.uri.Kind().Sealed {
			if err := u.Unlock(ctx); err != nil {
				last = errors.Join(err, key.Close())
				if errors.Is(err, signer.ErrKeyChanged) {
					continue
				}
				return nil, last
			}
		}
		return key, nil
	}
	return nil, fmt.Errorf("%w: %w", online.ErrNoKey, last)
}

// listenError: the listener could not be opened.
type listenError struct{ err error }

func (e *listenError) Error() string { return e.err.Error() }
func (e *listenError) Unwrap() error { return e.err }

// runOnline runs until SIGTERM or an interrupt, which is the orderly end and no error.
func (a *app) runOnline(ctx context.Context, o onStore) (err error) {
	cfg, err := a.onlineConfig(ctx, o)
	if err != nil {
		return err
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	cfg.Metrics = online.NewMetrics(reg, nil)
	cfg.Logger = a.logger()
	s, err := online.New(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	if o.listen != "" {
		l, err := online.Listen(o.listen)
		if err != nil {
			return &listenError{err}
		}
		a.warnPublic(l.Addr())
		cfg.Logger.Info("listening", "address", l.Addr().String())
		go func() {
			served <- online.Serve(ctx, l, online.Handler(s, reg))
			stop()
		}()
	} else {
		served <- nil
	}
	notify(cfg.Logger, daemon.SdNotifyReady)
	logIdentity(ctx, cfg)
	go watchdog(ctx, cfg.Logger, s.Alive)
	err = s.Run(ctx)
	stop()
	notify(cfg.Logger, daemon.SdNotifyStopping)
	return errors.Join(err, <-served)
}

// logIdentity says whose credentials the store is written with. Failing is no end: the
// source may come back, and each check says what it misses.
func logIdentity(ctx context.Context, cfg online.Config) {
	plain, ok := cfg.Store.(store.Plain)
	if !ok {
		return
	}
	signed, ok := plain.Store.(store.Identified)
	if !ok {
		return
	}
	who, err := signed.Identity(ctx)
	if err != nil {
		cfg.Logger.Warn("the store's credentials cannot be had", "error", err)
		return
	}
	cfg.Logger.Info("the store's credentials", "source", who)
}

// warnPublic says so when others can reach the listener.
func (a *app) warnPublic(addr net.Addr) {
	if t, ok := addr.(*net.TCPAddr); ok && !t.IP.IsLoopback() {
		a.warn("%s can be reached from other machines; it shows metrics and changes nothing", addr)
	}
}

// watchdog tells systemd that the process is alive as long as checks take place, as
// often as the unit asks for: the pause between two checks may be longer than that.
func watchdog(ctx context.Context, log *slog.Logger, alive func() error) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("asking systemd for its watchdog", "error", err)
	}
	if every <= 0 {
		return
	}
	t := time.NewTicker(every / 3)
	defer t.Stop()
	for {
		if err := alive(); err == nil {
			notify(log, daemon.SdNotifyWatchdog)
		} else {
			log.Error("systemd is not told that this process is alive", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("telling systemd", "state", state, "error", err)
	}
}

// logger writes text for people and JSON for machines.
func (a *app) logger() *slog.Logger {
	if a.talk.Terminal() && !a.json {
		return slog.New(slog.NewTextHandler(a.talk.Log(), nil))
	}
	return slog.New(slog.NewJSONHandler(a.talk.Log(), nil))
}

// timestampOnStore is `timestamp --store`: one check, one signature.
func (a *app) timestampOnStore(ctx context.Context, o onStore, within optionalDuration) error {
	cfg, err := a.onlineConfig(ctx, o)
	if err != nil {
		return err
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	if plain, ok := cfg.Store.(store.Plain); ok {
		if _, err := a.sayIdentity(ctx, plain.Store); err != nil {
			return err
		}
	}
	res, err := online.Once(ctx, cfg, online.Request{Always: !within.given, Within: within.value()})
	if err != nil {
		return err
	}
	if res.Adopted {
		a.note("nothing was remembered of this store: what it showed is taken for the newest, and %q remembers it from now on", cfg.StateFile)
	}
	switch res.Outcome {
	case online.Signed:
		a.note("published: timestamp v%d over snapshot v%d, good for %s", res.Version, res.Snapshot, config.DaysUntil(res.Expires))
	default:
		a.note("timestamp v%d is good for %s; nothing to do", res.Version, config.DaysUntil(res.Expires))
	}
	return a.print(struct {
		Schema  int    `json:"schema"`
		Command string `json:"command"`
		online.Result
	}{1, "timestamp", res}, func(*prompt.Writer) {})
}
