package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

// clientBase stands for the source in what go-tuf's updater asks for.
const clientBase = "https://source.invalid/"

// runClients lets go-tuf v2's client refresh, from the pinned root or from each.
func (w *walk) runClients() {
	type start struct {
		name string
		root []byte
		err  error
	}
	starts := []*start{{name: "the trusted root", root: w.o.Root}}
	if w.o.FromEveryRoot {
		for _, d := range w.chain {
			if d.Version != w.pinned.Version {
				starts = append(starts, &start{name: d.file, root: d.raw})
			}
		}
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, w.o.Workers)
	for _, s := range starts {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			s.err = w.runClient(s.root)
		})
	}
	group.Wait()
	w.report.Clients = len(starts)
	for _, s := range starts {
		if s.err != nil && w.ctx.Err() == nil {
			w.errorf(CodeClient, "", "", "go-tuf v2, beginning at %s: %v", s.name, s.err)
		}
	}
}

// runClient is one refresh at the reference time.
func (w *walk) runClient(root []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the client crashed: %v", r)
		}
	}()
	cfg, err := config.New(clientBase, root)
	if err != nil {
		return err
	}
	cfg.Fetcher = &fetcher{w}
	cfg.MaxRootRotations = maxRotations
	cfg.SnapshotMaxLength, cfg.TargetsMaxLength = maxMetadata, maxMetadata
	cfg.DisableLocalCache = true
	// The updater reads its cache even when that is disabled, from the working
	// directory if no folder is named: name one that cannot hold anything.
	cfg.LocalMetadataDir = filepath.Join(os.DevNull, "none")
	client, err := updater.New(cfg)
	if err != nil {
		return err
	}
	client.UnsafeSetRefTime(w.o.At.UTC())
	return client.Refresh()
}

// fetcher gives the updater what the walk has read.
type fetcher struct{ w *walk }

func (f *fetcher) DownloadFile(url string, limit int64, _ time.Duration) ([]byte, error) {
	name := strings.TrimPrefix(url, clientBase)
	b, err := f.w.src.fetch(f.w.ctx, name)
	if err != nil {
		return nil, downloadError(name, err)
	}
	if int64(len(b.data)) > limit {
		return nil, &metadata.ErrDownloadLengthMismatch{Msg: fmt.Sprintf("%s has %d bytes, more than %d", name, len(b.data), limit)}
	}
	if err := bounds(b.data); err != nil {
		return nil, fmt.Errorf("%s was not given to the client: %w", name, err)
	}
	return b.data, nil
}

func downloadError(name string, err error) error {
	var status *statusError
	switch {
	case errors.Is(err, errMissing):
		return &metadata.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: name}
	case errors.As(err, &status):
		return &metadata.ErrDownloadHTTP{StatusCode: status.status, URL: name}
	case errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}
