package watch

import (
	"context"
	"fmt"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// Address is one place where the repository is served.
type Address struct {
	// Name is what people read, and the label of its metrics: no credentials in it.
	Name  string
	Place *verify.Place
}

// Clock is the time. Sleep returns early with the context's error.
type Clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// Config says what to follow, and how.
type Config struct {
	Addresses []Address
	// Root is the trusted root.json.
	Root []byte
	// Transcripts are the logs of whoever signs for this repository; none: nobody asks.
	Transcripts []string
	// Early is how long before its expiry a role is warned of.
	Early func(role string) time.Duration
	// Interval is the pause between two polls; 0 means five minutes.
	Interval time.Duration
	// Delay is how long an address may be behind the others; 0 means an hour.
	Delay time.Duration
	// Content is how often each target is read whole though nothing says that it has
	// changed; 0 means a week.
	Content time.Duration
	// StateFile is where the watch remembers; "" means while it runs only.
	StateFile string

	Clock   Clock
	Metrics *Metrics
	// Tell hears of every event, in order.
	Tell func(Event)
}

const (
	// DefaultListen is where metrics and health are unless somebody says otherwise.
	DefaultListen   = "127.0.0.1:9472"
	defaultInterval = 5 * time.Minute
	defaultDelay    = time.Hour
	defaultContent  = 7 * 24 * time.Hour

	// lookTimeout bounds the reading of one address once, and contentTimeout of its content.
	lookTimeout    = 2 * time.Minute
	contentTimeout = 10 * time.Minute
	// tries and settle: an address in which something is wrong is read again.
	tries  = 3
	settle = 5 * time.Second
	// atOnce is how many addresses are read at the same time.
	atOnce = 4
)

func (c Config) withDefaults() (Config, error) {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&c.Interval, defaultInterval}, {&c.Delay, defaultDelay}, {&c.Content, defaultContent}} {
		if *d.v < 0 {
			return c, misuse.Errorf("a duration is negative")
		}
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	if len(c.Addresses) == 0 {
		return c, misuse.Errorf("no address to watch")
	}
	seen := map[string]bool{}
	for _, a := range c.Addresses {
		if seen[a.Name] {
			return c, misuse.Of(fmt.Errorf("address %q is named twice", a.Name))
		}
		seen[a.Name] = true
	}
	if c.Tell == nil {
		c.Tell = func(Event) {}
	}
	if c.Early == nil {
		c.Early = func(string) time.Duration { return 0 }
	}
	return c, nil
}
