package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

// Get reads one metadata file of at most limit bytes; fs.ErrNotExist where there is
// none.
type Get = func(ctx context.Context, name string, limit int64) ([]byte, error)

// Refresh lets go-tuf v2's client update itself with get, from a trusted root, to
// targets.json. before holds the metadata that the client has from an earlier time
// ("timestamp.json", "snapshot.json", "targets.json"); nil for a new client.
func Refresh(ctx context.Context, root []byte, before map[string][]byte, get Get) error {
	dir, err := os.MkdirTemp("", "fleet-hsm-client-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, name := range []string{"timestamp.json", "snapshot.json", "targets.json"} {
		if data, ok := before[name]; ok {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				return err
			}
		}
	}
	cfg, err := config.New(clientBase, root)
	if err != nil {
		return err
	}
	cfg.Fetcher = &getter{ctx, get}
	cfg.MaxRootRotations = maxRotations
	cfg.SnapshotMaxLength, cfg.TargetsMaxLength = maxMetadata, maxMetadata
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = dir, dir
	client, err := updater.New(cfg)
	if err != nil {
		return err
	}
	return client.Refresh()
}

// getter gives the updater what get reads.
type getter struct {
	ctx context.Context
	get Get
}

func (g *getter) DownloadFile(url string, limit int64, _ time.Duration) ([]byte, error) {
	name := strings.TrimPrefix(url, clientBase)
	data, err := g.get(g.ctx, name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: name}
	}
	if err != nil {
		return nil, err
	}
	if err := bounds(data); err != nil {
		return nil, fmt.Errorf("%s was not given to the client: %w", name, err)
	}
	return data, nil
}
