package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/online"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/watch"
)

type watchOptions struct {
	look                     remoteFlags
	transcripts              []string
	once                     bool
	interval, delay, content config.Duration
	listen, state            string
}

func (a *app) watchCommand() *cobra.Command {
	o := watchOptions{interval: config.Duration(5 * time.Minute), delay: config.Duration(time.Hour), content: config.Duration(7 * 24 * time.Hour)}
	cmd := &cobra.Command{
		Use:   "watch URL...",
		Short: "Follow a published repository from outside, at every address, and tell what is wrong",
		Long: `watch reads the repository at each address (https://, s3://, a folder) as an agent
would, and compares it with what was there before, with the other addresses, and with
the transcripts of whoever signs. A version that no transcript names was signed by
somebody else. It needs no key and writes nothing but its state file. One line for each
thing that begins or ends; metrics are at /metrics, health at /healthz and /readyz.
--once looks one time and exits 4 if something is wrong, 1 if an address does not
answer, 6 if something expires soon.`,
		Example: `  fleet-hsm watch https://updates.example.com https://mirror.example.com --root root.json --transcript ceremony.log
  fleet-hsm watch --once https://updates.example.com --root root.json   # from cron`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runWatch(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.look.root, "root", "", "trusted root.json")
	f.StringVar(&o.look.caFile, "ca-file", "", "PEM certificates to check the servers against")
	f.StringVar(&o.look.clientCert, "client-cert", "", "PEM certificate to show the servers")
	f.StringVar(&o.look.clientKey, "client-key", "", "PEM key of --client-cert")
	f.Var((*many)(&o.transcripts), "transcript", "log of whoever signs (of a person, a machine, online); repeatable; only read")
	f.BoolVar(&o.once, "once", false, "look once")
	f.Var(&o.interval, "interval", "pause between two polls")
	f.Var(&o.delay, "delay", "how long an address may be behind the others")
	f.Var(&o.content, "content", "how often every target is read whole")
	f.StringVar(&o.listen, "listen", watch.DefaultListen, `address of metrics and health; "" for none`)
	takesNothing(f, "listen", "no address at all")
	f.StringVar(&o.state, "state", "", "file that remembers what was seen (default: in $STATE_DIRECTORY, else in the user's state folder)")
	return cmd
}

func (a *app) watchConfig(addresses []string, o watchOptions) (watch.Config, error) {
	if o.look.root == "" {
		return watch.Config{}, usagef("watch needs --root FILE: what a server sends cannot say itself that it is to be trusted")
	}
	cfg, err := a.config()
	if err != nil {
		return watch.Config{}, err
	}
	root, err := remote.ReadRoot(o.look.root)
	if err != nil {
		return watch.Config{}, err
	}
	places, err := remote.Follow(addresses, remote.LookOptions{Root: root, CAFile: o.look.caFile, CertFile: o.look.clientCert, KeyFile: o.look.clientKey})
	if err != nil {
		return watch.Config{}, err
	}
	if o.state == "" {
		folder, err := online.StateFolder()
		if err != nil {
			return watch.Config{}, err
		}
		o.state = watch.StateFileFor(folder, root, places)
	}
	return watch.Config{
		Addresses: places, Root: root, Transcripts: o.transcripts, Early: cfg.Early,
		Interval: time.Duration(o.interval), Delay: time.Duration(o.delay), Content: time.Duration(o.content),
		StateFile: o.state, Clock: online.ClockOf(a.now), Tell: a.tellEvent,
	}, nil
}

func (a *app) runWatch(ctx context.Context, addresses []string, o watchOptions) error {
	cfg, err := a.watchConfig(addresses, o)
	if err != nil {
		return err
	}
	if o.once {
		return a.watchOnce(ctx, cfg)
	}
	collectAsUsual()
	return watch.Daemon{Config: cfg, Listen: o.listen, Listening: a.warnPublic, Log: a.logger()}.Run(ctx)
}

// tellEvent writes a line for an event: JSON on stdout, or text on stderr.
func (a *app) tellEvent(e watch.Event) {
	if a.json {
		// Whoever reads it may be gone; the next poll tells what still is.
		_ = a.out.JSON(e)
		return
	}
	a.say("%s %s", e.Time.Format("2006-01-02 15:04:05"), e)
}

// watched is watch --once with --json.
type watched struct {
	Schema    int             `json:"schema"`
	Addresses []string        `json:"addresses"`
	Findings  []watch.Finding `json:"findings"`
}

func (a *app) watchOnce(ctx context.Context, cfg watch.Config) error {
	cfg.Tell = func(watch.Event) {}
	s, err := watch.New(cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Poll(ctx); err != nil {
		return err
	}
	res := watched{Schema: 1, Findings: s.Findings()}
	for _, p := range cfg.Addresses {
		res.Addresses = append(res.Addresses, p.Name)
	}
	err = a.print(res, func(w *prompt.Writer) {
		for _, f := range res.Findings {
			w.Printf("%s %s\n", string(f.Level), f)
		}
		if len(res.Findings) == 0 {
			w.Printf("nothing is wrong at %s\n", strings.Join(res.Addresses, ", "))
		}
	})
	if err == nil && len(res.Findings) > 0 {
		err = &watch.FoundError{Findings: res.Findings}
	}
	return err
}
