package main

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/online"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/store"
)

// onStore are the flags of what signs straight on a store.
type onStore struct {
	store        storeFlags
	root         string
	renewBefore  config.Duration
	interval     config.Duration
	listen       string
	page         string
	allowShorter bool
	expires      []string
	keys         roleKeyFlags
	memory       memoryFlags
}

// memoryFlags say where a signer on a store remembers, and what a person says beside it.
type memoryFlags struct {
	state                      string
	acceptExpired, acceptOlder bool
}

func (m *memoryFlags) add(f *pflag.FlagSet) {
	f.StringVar(&m.state, "state", "", "file that remembers what was signed and seen (default: in $STATE_DIRECTORY, else in the user's state folder)")
	f.BoolVar(&m.acceptExpired, "accept-expired", false, "renew a published timestamp that has expired although nothing remembers it as the newest")
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
	f.Var((*many)(&o.expires), "expires", "validity, as timestamp=DURATION")
	o.keys = addRoleKeyFlags(f, meta.RoleTimestamp)
	o.memory.add(f)
	f.StringVar(&o.page, "page", "", "keep the page of status --html in this file, at most an hour behind")
	return cmd
}

// onlineConfig joins store, root and keys, and says which store it is.
func (a *app) onlineConfig(ctx context.Context, o onStore) (online.Config, store.Store, error) {
	cfg, err := a.config()
	if err != nil {
		return online.Config{}, nil, err
	}
	if err := cfg.Override(o.expires); err != nil {
		return online.Config{}, nil, err
	}
	s, _, err := a.openStore(nil, o.store)
	if err != nil {
		return online.Config{}, nil, err
	}
	root, err := remote.RootToTrust(a.path, o.root)
	if err != nil {
		return online.Config{}, nil, err
	}
	keys, err := a.keychain()
	if err != nil {
		return online.Config{}, nil, err
	}
	if err := o.keys.use(keys); err != nil {
		return online.Config{}, nil, err
	}
	c, err := remote.Signer(ctx, remote.SignerOptions{Store: s, Root: root, Keys: keys, Person: a.person(), Config: cfg, StateFile: o.memory.state, Now: a.now})
	c.AcceptExpired, c.AcceptOlder, c.AllowShorter = o.memory.acceptExpired, o.memory.acceptOlder, o.allowShorter
	c.RenewBefore, c.Interval = time.Duration(o.renewBefore), time.Duration(o.interval)
	// A transcript: of the configuration may lie where an unattended service cannot write,
	// and a log must not be what ends the timestamps: the flag alone counts.
	if a.transcriptFile != "" {
		c.Signed = a.logTimestamp
	}
	return c, s, err
}

// logTimestamp writes a signature of the unattended signer to the transcript.
func (a *app) logTimestamp(n online.Signature) error {
	token := ""
	if u, err := a.kinds.Parse(n.Key); err == nil {
		token = u.Token()
	}
	return a.log.Unattended(meta.RoleTimestamp, n.Version, n.Message, n.KeyID, n.Key, token, n.Signature)
}

// runOnline runs until SIGTERM or an interrupt, which is the orderly end and no error.
func (a *app) runOnline(ctx context.Context, o onStore) error {
	cfg, s, err := a.onlineConfig(ctx, o)
	if err != nil {
		return err
	}
	collectAsUsual()
	cfg.Logger = a.logger()
	a.log.Command = "online"
	if o.page != "" {
		cfg.Beat = a.keepPage(ctx, o.page, a.storeName(o.store), o.store.caFile, cfg.Root, cfg.Logger)
	}
	return online.Daemon{
		Config: cfg, Listen: o.listen, Listening: a.warnPublic, Version: version(), Store: a.storeName(o.store),
		Started: func(ctx context.Context) { logIdentity(ctx, cfg.Logger, s) },
	}.Run(ctx)
}

// storeName is the store as the configuration or a flag names it; no secret stands there.
func (a *app) storeName(o storeFlags) string { return cmp.Or(o.url, a.cfg.Store) }

// logIdentity says whose credentials the store is written with. Failing is no end: the
// source may come back, and each check says what it misses.
func logIdentity(ctx context.Context, log *slog.Logger, s store.Store) {
	signed, ok := s.(store.Identified)
	if !ok {
		return
	}
	who, err := signed.Identity(ctx)
	if err != nil {
		log.Warn("the store's credentials cannot be had", "error", err)
		return
	}
	log.Info("the store's credentials", "source", who)
}

// warnPublic says so when others can reach the listener.
func (a *app) warnPublic(addr net.Addr) {
	if t, ok := addr.(*net.TCPAddr); ok && !t.IP.IsLoopback() {
		a.warn("%s can be reached from other machines; it shows metrics and changes nothing", addr)
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
	cfg, s, err := a.onlineConfig(ctx, o)
	if err != nil {
		return err
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	a.log.Command = "timestamp"
	if _, err := a.sayIdentity(ctx, s); err != nil {
		return err
	}
	res, err := online.Once(ctx, cfg, online.Request{Always: !within.given, Within: within.value(), DryRun: a.dryRun})
	if err != nil {
		return err
	}
	if res.Adopted {
		a.note("nothing was remembered of this store: what it showed is taken for the newest, and %q remembers it from now on", cfg.StateFile)
	}
	switch res.Outcome {
	case online.Due:
		a.note("would sign a timestamp over snapshot v%d (%s) and write timestamp.json; a dry run: nothing was signed, nothing was written", res.Snapshot, res.Reason)
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
