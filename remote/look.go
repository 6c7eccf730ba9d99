package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/verify"
)

// Repository is what a server gives out, checked from a trusted root by package verify; no
// target is fetched.
type Repository struct {
	Report *verify.Report
	// Root and Targets are nil if they do not verify; the report says why.
	Root    *meta.Root
	Targets *meta.Targets
}

// LookOptions say how to reach it.
type LookOptions struct {
	Source                    string
	Root                      []byte
	CAFile, CertFile, KeyFile string
}

// Look reads and checks the metadata of a published repository.
func Look(ctx context.Context, o LookOptions) (*Repository, error) {
	v, err := Reading(verify.Options{Source: o.Source, Root: o.Root, MetadataOnly: true,
		CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile})
	if err != nil {
		return nil, err
	}
	report, err := verify.Run(ctx, v)
	if errors.Is(err, verify.ErrNoRoot) {
		return nil, misuse.Of(err)
	}
	if err != nil {
		return nil, err
	}
	r := &Repository{Report: report}
	// What cannot be read here is among the findings.
	if data, ok := report.Documents[meta.RoleRoot]; ok {
		r.Root, _ = meta.ReadRoot("root.json", data)
	}
	if data, ok := report.Documents[meta.RoleTargets]; ok && r.Root != nil {
		r.Targets, _ = meta.ReadTargets(r.Root, "targets.json", data)
	}
	return r, nil
}

// Faults counts the errors: those that only say that something expired, and the others.
func (r *Repository) Faults() (expired, other int) {
	for _, f := range r.Report.Findings {
		switch {
		case f.Severity != verify.Error:
		case r.Report.OnlyExpiry(f):
			expired++
		default:
			other++
		}
	}
	return expired, other
}

// IsWebRoot reports whether a folder is what a server gives out, without the working folder
// around it: a mirror, or repository/ itself.
func IsWebRoot(dir string) bool {
	there := func(elem ...string) bool {
		_, err := os.Stat(filepath.Join(append([]string{dir}, elem...)...))
		return err == nil
	}
	return there("root.json") && !there("repository", "root.json")
}

// IsURL reports whether a source is on a server, and not a folder.
func IsURL(source string) bool { return strings.Contains(source, "://") }

// TrustedRoot reads the root that a source is checked from: the file that a person named, or
// the oldest in a folder, whose path it gives too.
func TrustedRoot(source, file string) (root []byte, oldest string, err error) {
	if file != "" {
		root, err = ReadRoot(file)
		return root, "", err
	}
	if IsURL(source) {
		return nil, "", misuse.Errorf("a URL needs --root FILE: what a server sends cannot say itself that it is to be trusted")
	}
	name, root, err := verify.OldestRoot(source)
	if errors.Is(err, fs.ErrNotExist) {
		what := "no folder"
		if _, err := os.Stat(source); err == nil {
			what = "no root.json in"
		}
		return nil, "", fmt.Errorf("%w: %s %q", repo.ErrNoRepository, what, source)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%q: %w", source, err)
	}
	return root, filepath.Join(source, name), nil
}

// ReadRoot reads the file of --root.
func ReadRoot(file string) ([]byte, error) {
	root, err := config.ReadBounded(file, config.MaxSize)
	if err != nil {
		return nil, misuse.Of(fmt.Errorf("--root %q: %w", file, err))
	}
	return root, nil
}
