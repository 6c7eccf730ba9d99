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
			var err error
			if v, err = Reading(v); err != nil {
				return nil, err
			}
			name = v.Source
		}
		place, err := verify.Open(v)
		if err != nil {
			return nil, misuse.Of(err)
		}
		all = append(all, watch.Address{Name: name, Place: place})
	}
	return all, nil
}

// Reading lets package verify read a source that is a store: a bucket, or a folder by its
// URL. Folders and web servers it reads itself.
func Reading(v verify.Options) (verify.Options, error) {
	if scheme, _, ok := strings.Cut(v.Source, "://"); !ok || scheme == "http" || scheme == "https" {
		return v, nil
	}
	s, _, err := OpenStore(v.Source, v.CAFile)
	if err != nil {
		return v, err
	}
	v.Files, v.Source = Files(s), s.String()
	return v, nil
}

// Files lets package verify read a store.
func Files(s store.Store) verify.Files { return storeFiles{s} }

type storeFiles struct{ s store.Store }

func (f storeFiles) Open(ctx context.Context, name string) (io.ReadCloser, int64, string, error) {
	r, info, err := f.s.Open(ctx, name)
	return r, info.Size, info.ETag, err
}
