package online

import (
	"context"
	"crypto"
	"fmt"
	"log/slog"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// Store is where the repository is published.
type Store interface {
	// String names the store, without secrets.
	String() string
	// Get reads a file of at most limit bytes with its ETag and the store's own clock
	// (zero if it has none). An absent file is fs.ErrNotExist; a store that is absent
	// or does not answer is another error.
	Get(ctx context.Context, name string, limit int64) (data []byte, etag string, date time.Time, err error)
	// PutTimestamp writes timestamp.json if its ETag is still etag or, with etag "",
	// if there is none. consistent is the layout, for the Cache-Control header.
	PutTimestamp(ctx context.Context, data []byte, etag string, consistent bool) error
	// Modified is when a file was written, by the store's clock.
	Modified(ctx context.Context, name string) (time.Time, error)
}

// Key is an open key.
type Key interface {
	// Public may be nil where only the secret could tell.
	Public() crypto.PublicKey
	// Sign signs the whole message; the signature is in the form of TUF metadata.
	Sign(ctx context.Context, message []byte) ([]byte, error)
	Close() error
}

// KeySource opens one key, again after it was lost.
type KeySource interface {
	// Name is the key's URI, without secrets.
	Name() string
	// Open opens the key. role holds the public keys that root names for timestamp;
	// a source that cannot see its public key without a secret may choose by them.
	Open(ctx context.Context, role []crypto.PublicKey) (Key, error)
}

// Clock is the time. Sleep returns early with the context's error.
type Clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// Signature is one that was made over a timestamp.
type Signature struct {
	Version   int64
	Message   []byte
	KeyID     tuf.KeyID
	Key       string // its KeySource's name
	Signature []byte
}

// Config says what to keep fresh, and how.
type Config struct {
	Store Store
	// Root is a root.json that is trusted, such as the one pinned in agents.
	Root []byte
	// Keys in order of preference.
	Keys []KeySource
	// Silent reports an error of a key that means: its device did not answer, and a new
	// process may reach it without harm. Nil: no error does.
	Silent func(error) bool
	// Expires is how long a new timestamp is valid; 0 means 336h, as fleetctl has it.
	Expires time.Duration
	// RenewBefore is how much is left when it is renewed; 0 means half of Expires.
	RenewBefore time.Duration
	// Interval is the pause between two checks; 0 means a minute.
	Interval time.Duration
	// MaxSkew is how far the clock may be from the store's; 0 means 5 minutes.
	MaxSkew time.Duration
	// AllowShorter allows a timestamp that expires before the published one.
	AllowShorter bool
	// StateFile is where the signer remembers what it signed and saw; "" means that it
	// remembers while it runs only. Its folder exists.
	StateFile string
	// AcceptExpired renews a published timestamp that has expired although nothing tells
	// that it is the newest; AcceptOlder takes what the store shows although it is older
	// than what is remembered. A person has looked. Both end with the first good check.
	AcceptExpired, AcceptOlder bool
	// StoreTimeout and SignTimeout bound one request and one signature; 0 means a
	// minute.
	StoreTimeout, SignTimeout time.Duration
	// CheckTimeout bounds a whole check, however many requests it makes; 0 means seven
	// minutes. A watchdog must wait longer than twice this and three intervals.
	CheckTimeout time.Duration
	// MaxTargets bounds the size of targets.json, in bytes; 0 means 256 MiB.
	MaxTargets int64

	Clock   Clock        // nil: the system's
	Logger  *slog.Logger // nil: discards
	Metrics *Metrics     // nil: none are kept
	// Signed, if not nil, is told of each signature before anybody can see it; nothing is
	// published if it fails.
	Signed func(Signature) error
	// Beat, if not nil, is called after each check of Run; ok says
	// whether the check went well.
	Beat func(ok bool)
}

const (
	defaultExpires    = 336 * time.Hour
	defaultInterval   = time.Minute
	defaultSkew       = 5 * time.Minute
	defaultTimeout    = time.Minute
	defaultCheck      = 7 * time.Minute
	defaultMaxTargets = 256 << 20
)

func (c Config) withDefaults() (Config, error) {
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&c.Expires, defaultExpires}, {&c.Interval, defaultInterval}, {&c.MaxSkew, defaultSkew},
		{&c.StoreTimeout, defaultTimeout}, {&c.SignTimeout, defaultTimeout}, {&c.CheckTimeout, defaultCheck},
	} {
		if *d.v < 0 {
			return c, fmt.Errorf("%w: a duration is negative", ErrConfig)
		}
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	if c.RenewBefore == 0 {
		c.RenewBefore = c.Expires / 2
	}
	if c.RenewBefore < 0 || c.RenewBefore >= c.Expires {
		return c, fmt.Errorf("%w: renewing %s before the end of a validity of %s", ErrConfig, c.RenewBefore, c.Expires)
	}
	if c.Expires < time.Second {
		return c, fmt.Errorf("%w: expiry is written in whole seconds", ErrConfig)
	}
	if c.MaxTargets == 0 {
		c.MaxTargets = defaultMaxTargets
	}
	if c.Clock == nil {
		c.Clock = ClockOf(time.Now)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if len(c.Keys) == 0 {
		return c, fmt.Errorf("%w: no key", ErrConfig)
	}
	return c, nil
}

type systemClock struct{ now func() time.Time }

// ClockOf is this machine's clock, which shows what now says.
func ClockOf(now func() time.Time) Clock { return systemClock{now} }

func (c systemClock) Now() time.Time { return c.now() }

func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
