package main

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/remote"
)

// remoteFlags say how to look at a repository that a server gives out, for commands
// that read.
type remoteFlags struct {
	root, caFile, clientCert, clientKey string
}

func (s *remoteFlags) add(f *pflag.FlagSet) {
	f.StringVar(&s.root, "root", "", "with a URL: the trusted root.json")
	f.StringVar(&s.caFile, "ca-file", "", "with a URL: PEM certificates to check the server against")
	f.StringVar(&s.clientCert, "client-cert", "", "with a URL: PEM certificate to show the server")
	f.StringVar(&s.clientKey, "client-key", "", "with a URL: PEM key of --client-cert")
}

// needsURL refuses the flags without a URL.
func (s *remoteFlags) needsURL() error {
	if *s != (remoteFlags{}) {
		return usagef("--root, --ca-file, --client-cert and --client-key go with a URL")
	}
	return nil
}

// pinnedRoot reads --root; a folder may go without, and its oldest root is trusted then.
func (a *app) pinnedRoot(source, file string) ([]byte, error) {
	root, oldest, err := remote.TrustedRoot(source, file)
	if oldest != "" {
		a.note("trusting %s, the oldest root there; --root FILE trusts another", oldest)
	}
	return root, err
}

// lookAt reads what a server gives out.
func (a *app) lookAt(ctx context.Context, source string, s remoteFlags) (*remote.Repository, error) {
	if !remote.IsURL(source) && !remote.IsWebRoot(source) {
		return nil, usagef("%q is not a URL; a folder is named with --path", source)
	}
	root, err := a.pinnedRoot(source, s.root)
	if err != nil {
		return nil, err
	}
	return remote.Look(ctx, remote.LookOptions{Source: source, Root: root, CAFile: s.caFile, CertFile: s.clientCert, KeyFile: s.clientKey})
}
