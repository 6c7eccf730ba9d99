package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fleet-hsm/fleet-hsm/compat/fleetclient/orbit"
	"github.com/theupdateframework/go-tuf/data"
)

// maxFailures bounds the list of failures; the counts go on.
const maxFailures = 100

// pollFlags are the flags of poll, see the package doc.
type pollFlags struct {
	until              string
	rounds             int
	every              time.Duration
	cold, restart, all bool
	names              []string
}

// counts are rounds that went well and rounds that did not.
type counts struct {
	OK     int `json:"ok"`
	Failed int `json:"failed"`
}

// failure is one client's failed round.
type failure struct {
	At     time.Time `json:"at"`
	Round  int       `json:"round"`
	Client string    `json:"client"`
	Error  string    `json:"error"`
}

// report is what poll prints. A round is ok if every client in it was; Clients counts
// each by itself. Versions are the last that each client held.
type report struct {
	Rounds int `json:"rounds"`
	counts
	Errors   map[string]int            `json:"errors"`
	Clients  map[string]*counts        `json:"clients"`
	Failures []failure                 `json:"failures"`
	Versions map[string]orbit.Versions `json:"versions"`
}

func cmdPoll(s *setup, args []string, stdout io.Writer) error {
	f, err := parsePoll(s, args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := &poller{flags: f, setup: s, report: report{
		Errors: map[string]int{}, Clients: map[string]*counts{},
		Failures: []failure{}, Versions: map[string]orbit.Versions{},
	}}
	p.loop(ctx)
	if err := printJSON(stdout, p.report); err != nil {
		return err
	}
	if p.report.Failed > 0 {
		return fmt.Errorf("%d of %d rounds failed, the first: %s", p.report.Failed, p.report.Rounds, p.report.Failures[0].Error)
	}
	return nil
}

func parsePoll(s *setup, args []string) (pollFlags, error) {
	var f pollFlags
	fs := s.flags("poll")
	fs.StringVar(&f.until, "until-file", "", "end after one more round once this file exists")
	fs.IntVar(&f.rounds, "rounds", 0, "end after this many rounds")
	fs.DurationVar(&f.every, "every", 0, "pause between rounds")
	fs.BoolVar(&f.cold, "cold", false, "use a fresh client in each round")
	fs.BoolVar(&f.restart, "restart", false, "restart the agent of --state in each round")
	fs.BoolVar(&f.all, "all", false, "check every target in each round")
	fs.Func("download", "target to check in each round (repeatable)", func(v string) error {
		f.names = append(f.names, v)
		return nil
	})
	if _, err := arguments(fs, args, 0); err != nil {
		return f, err
	}
	switch {
	case f.cold && s.root == "":
		return f, usage("poll --cold needs --root")
	case !f.cold && s.state == "":
		return f, usage("poll needs --state, or --cold")
	case f.until == "" && f.rounds == 0:
		return f, usage("poll needs --until-file or --rounds, or it would never end")
	}
	return f, nil
}

type poller struct {
	flags pollFlags
	setup *setup
	// agent is the one that keeps running, nil until its first round.
	agent  *orbit.Agent
	report report
}

// loop runs rounds until the file exists, the number is reached or a signal comes. At
// least one whole round starts after the file appeared.
func (p *poller) loop(ctx context.Context) {
	for {
		last := p.last()
		p.round()
		if last {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(p.flags.every):
		}
	}
}

// round lets every client poll once.
func (p *poller) round() {
	p.report.Rounds++
	ok := true
	if p.setup.state != "" {
		ok = p.poll("agent", p.persistent)
	}
	if p.flags.cold {
		ok = p.poll("cold", p.fresh) && ok
	}
	if ok {
		p.report.OK++
	} else {
		p.report.Failed++
	}
}

func (p *poller) last() bool {
	if p.flags.rounds > 0 && p.report.Rounds+1 >= p.flags.rounds {
		return true
	}
	if p.flags.until == "" {
		return false
	}
	_, err := os.Stat(p.flags.until)
	return err == nil
}

// poll runs one client once and books the outcome under its name.
func (p *poller) poll(name string, open func() (*orbit.Agent, error)) bool {
	tally := p.report.Clients[name]
	if tally == nil {
		tally = &counts{}
		p.report.Clients[name] = tally
	}
	agent, err := open()
	errs := []error{err}
	if err == nil {
		errs = p.check(agent)
		if v, err := agent.Versions(); err == nil {
			p.report.Versions[name] = v
		}
		if agent != p.agent {
			agent.Close()
		}
	}
	if len(errs) == 0 {
		tally.OK++
		return true
	}
	tally.Failed++
	p.book(name, errs)
	return false
}

// book counts each error and lists the failure by the first.
func (p *poller) book(name string, errs []error) {
	for _, err := range errs {
		p.report.Errors[err.Error()]++
	}
	if len(p.report.Failures) >= maxFailures {
		return
	}
	text := errs[0].Error()
	if more := len(errs) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	p.report.Failures = append(p.report.Failures, failure{time.Now().UTC(), p.report.Rounds, name, text})
}

func (p *poller) persistent() (*orbit.Agent, error) {
	if p.agent != nil && !p.flags.restart {
		return p.agent, nil
	}
	if p.agent != nil {
		p.agent.Close()
	}
	agent, err := p.setup.agent()
	p.agent = agent
	return agent, err
}

func (p *poller) fresh() (*orbit.Agent, error) {
	opts, err := p.setup.options("")
	if err != nil {
		return nil, err
	}
	return orbit.Open(opts)
}

// check gives everything that went wrong for one client in one round.
func (p *poller) check(agent *orbit.Agent) []error {
	if err := agent.Update(); err != nil {
		return []error{err}
	}
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, name := range p.flags.names {
		_, err := agent.Check(name)
		note(err)
	}
	if p.flags.all {
		note(agent.CheckAll(func(_ string, _ data.TargetFileMeta, err error) { note(err) }))
	}
	return errs
}
