package remote

import (
	"context"
	"io"
	"net/url"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/verify"
	"github.com/fleet-hsm/fleet-hsm/watch"
)

// Follow opens the addresses of one repository: web servers, buckets and folders.
func Follow(addresses []string, o LookOptions) ([]watch.Address, error) {
	var all []watch.Address
	for _, source := range addresses {
		v := verify.Options{Source: source, Root: o.Root, MetadataOnly: true, CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile}
		name := source
		switch scheme, _, _ := strings.Cut(source, "://"); {
		case scheme == "http" || scheme == "https":
			u, err := url.Parse(source)
			if err != nil {
				return nil, misuse.Errorf("address %q: not a URL", source)
			}
			u.User = nil
			name = u.String()
		case IsURL(source):
			s, _, err := OpenStore(source, o.CAFile)
			if err != nil {
				return nil, err
			}
			v.Files, v.Source = Files(s), s.String()
			name = s.String()
		}
		place, err := verify.Open(v)
		if err != nil {
			return nil, misuse.Of(err)
		}
		all = append(all, watch.Address{Name: name, Place: place})
	}
	return all, nil
}

// Files lets package verify read a store.
func Files(s store.Store) verify.Files { return storeFiles{s} }

type storeFiles struct{ s store.Store }

func (f storeFiles) Open(ctx context.Context, name string) (io.ReadCloser, int64, string, error) {
	r, info, err := f.s.Open(ctx, name)
	return r, info.Size, info.ETag, err
}
