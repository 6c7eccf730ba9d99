package verify

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Named is what verified metadata says of a target.
type Named struct {
	Length int64
	// Version is custom.version, empty if there is none.
	Version string
	// SHA512 and SHA256 are hex; empty if metadata has none.
	SHA512, SHA256 string
}

// TargetError: the bytes of a target could not be brought, or are not those that
// metadata names.
type TargetError struct {
	Path string
	Err  error
}

func (e *TargetError) Error() string { return fmt.Sprintf("target %q: %v", e.Path, e.Err) }
func (e *TargetError) Unwrap() error { return e.Err }

var (
	errOtherBytes = errors.New("its bytes are not those that metadata names")
	errNoHash     = errors.New("metadata has no sha512 and no sha256 of it")
)

// Named gives the targets that the verified targets.json of a report names, by path;
// none if it did not verify. Those of delegated roles are not among them.
func (r *Report) Named() map[string]Named {
	r.namedOnce.Do(func() { r.named = r.readNamed() })
	return r.named
}

func (r *Report) readNamed() map[string]Named {
	all := map[string]Named{}
	d, err := decode("targets.json", roleTargets, r.Documents[roleTargets])
	if err != nil {
		return all
	}
	for name, f := range d.targets.Targets {
		if f == nil || pathFault(name) != "" {
			continue
		}
		var custom struct {
			Version string `json:"version"`
		}
		// What is no custom.version leaves it empty.
		_ = json.Unmarshal(f.Custom, &custom)
		all[name] = Named{Length: f.Length, Version: custom.Version, SHA512: hexOf(f.Hashes["sha512"], 128), SHA256: hexOf(f.Hashes["sha256"], 64)}
	}
	return all
}

// Bring copies the bytes of a target from the source of a report, made with o, to dst.
// What it copied is what agents would take only if the error is nil; dst never gets more
// bytes than metadata names. Errors: *TargetError.
func (r *Report) Bring(ctx context.Context, o Options, name string, dst io.Writer) error {
	named, ok := r.Named()[name]
	if !ok {
		return &TargetError{name, errMissing}
	}
	root, err := decode("root.json", roleRoot, r.Documents[roleRoot])
	if err != nil {
		return &TargetError{name, err}
	}
	o.Root = r.Documents[roleRoot]
	src, err := openSource(ctx, &o)
	if err != nil {
		return err
	}
	defer src.close()
	w := newWalk(ctx, o, src)
	w.trusted = root
	places := w.names(target{path: name, length: named.Length, sha512: named.SHA512, sha256: named.SHA256})
	if len(places) == 0 || named.SHA512 == "" && named.SHA256 == "" {
		return &TargetError{name, errNoHash}
	}
	// Agents ask for the preferred name, and for no other if that fails.
	if err := copyNamed(ctx, src, places[0].file, named, dst); err != nil {
		return &TargetError{name, err}
	}
	return nil
}

// copySize is small: a watch of many addresses copies from several at a time.
const copySize = 64 << 10

func copyNamed(ctx context.Context, src source, file string, named Named, dst io.Writer) error {
	c, err := src.open(ctx, file)
	if err != nil {
		return err
	}
	defer c.Close()
	if c.size >= 0 && c.size != named.Length {
		return fmt.Errorf("%w: %d, not %d", errOtherBytes, c.size, named.Length)
	}
	var sums []hash.Hash
	var want []string
	for _, h := range []struct {
		want string
		make func() hash.Hash
	}{{named.SHA512, sha512.New}, {named.SHA256, sha256.New}} {
		if h.want != "" {
			sums, want = append(sums, h.make()), append(want, h.want)
		}
	}
	to := []io.Writer{dst}
	for _, h := range sums {
		to = append(to, h)
	}
	n, err := io.CopyBuffer(io.MultiWriter(to...), io.LimitReader(c, named.Length), make([]byte, copySize))
	if err != nil {
		return labelled(c.unpacked, pathError(err))
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); !errors.Is(err, io.EOF) || n != named.Length {
		return errOtherBytes
	}
	for i, h := range sums {
		if hex.EncodeToString(h.Sum(nil)) != want[i] {
			return errOtherBytes
		}
	}
	return ctx.Err()
}
