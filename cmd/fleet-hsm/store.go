package main

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/store"
)

// storeFlags say how to reach the place where the repository is published.
type storeFlags struct {
	url    string
	caFile string
}

func (o *storeFlags) add(f *pflag.FlagSet) {
	f.StringVar(&o.caFile, "ca-file", "", "PEM certificates to check the store's server against")
}

// openStore opens the store that an argument names, or the configuration's, and says where
// it is.
func (a *app) openStore(args []string, o storeFlags) (store.Store, store.Location, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, store.Location{}, err
	}
	return remote.OpenStore(cmp.Or(strings.Join(args, ""), o.url, cfg.Store), o.caFile)
}

// sayIdentity says whose credentials a store is written with. Without any a dry run can
// still read a public bucket, and a write is refused when it comes.
func (a *app) sayIdentity(ctx context.Context, s store.Store) (string, error) {
	who, err := remote.Identity(ctx, s)
	if err != nil || who == "" {
		return "", err
	}
	a.note("credentials: %s", who)
	return who, nil
}

// plainEvery is the pause between two lines of progress where there is no terminal.
const plainEvery = 10 * time.Second

// barFor shows an upload or download: a bar on a terminal, else a line now and then.
func (a *app) barFor(what string) (func(store.Progress), func()) {
	b := a.progress(what)
	if b.Shown() {
		return func(p store.Progress) { b.Draw(p.Bytes, p.BytesTotal) }, b.End
	}
	said := time.Now()
	return func(p store.Progress) {
		if now := time.Now(); now.Sub(said) >= plainEvery {
			said = now
			a.note("%s: %d of %d files, %s of %s", what, p.Files, p.FilesTotal, prompt.Size(p.Bytes), prompt.Size(p.BytesTotal))
		}
	}, func() {}
}
