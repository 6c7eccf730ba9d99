package tuf

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
)

// FileMeta is how metadata names another file (TUF spec, sections 4.4 and 4.5).
type FileMeta struct {
	Version int64  `json:"version"`
	Length  int64  `json:"length,omitempty"` // 0 if not stated
	Hashes  Hashes `json:"hashes,omitempty"`
}

// Hashes are digests by algorithm, in lower-case hex. Of those that we know, sha512 and
// sha256, all must match; what names none that we know names nothing.
type Hashes map[string]string

// UnmarshalJSON implements json.Unmarshaler. Agents refuse a digest that is not hex.
func (h *Hashes) UnmarshalJSON(data []byte) error {
	var m map[string]string
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	for alg, digits := range m {
		if _, err := hex.DecodeString(digits); err != nil {
			return fmt.Errorf("the %.20q of a file: %w", alg, err)
		}
		m[alg] = strings.ToLower(digits)
	}
	*h = m
	return nil
}

// HashesOf gives both digests of data.
func HashesOf(data []byte) Hashes {
	a, b := sha512.Sum512(data), sha256.Sum256(data)
	return Hashes{"sha512": hex.EncodeToString(a[:]), "sha256": hex.EncodeToString(b[:])}
}

var errUnknownHash = errors.New("none of its hashes is of a kind that is known here")

// Fits says why data is not the file that m names, nil if it is.
func (m FileMeta) Fits(data []byte) error {
	if m.Length > 0 && int64(len(data)) != m.Length {
		return fmt.Errorf("length is %d, not %d", len(data), m.Length)
	}
	if len(m.Hashes) == 0 {
		return nil
	}
	return m.Hashes.fit(func(alg string) string {
		if alg == "sha512" {
			sum := sha512.Sum512(data)
			return hex.EncodeToString(sum[:])
		}
		sum := sha256.Sum256(data)
		return hex.EncodeToString(sum[:])
	})
}

// fit compares with the digests that sum gives.
func (h Hashes) fit(sum func(alg string) string) error {
	known := false
	for _, a := range []struct{ alg, name string }{{"sha512", "SHA-512"}, {"sha256", "SHA-256"}} {
		want, ok := h[a.alg]
		if ok && sum(a.alg) != want {
			return fmt.Errorf("%s does not match", a.name)
		}
		known = known || ok
	}
	if !known {
		return errUnknownHash
	}
	return nil
}

// MismatchError: what was copied is not the file that metadata names.
type MismatchError struct{ Err error }

func (e *MismatchError) Error() string { return e.Err.Error() }

func (e *MismatchError) Unwrap() error { return e.Err }

// Copy copies the file that m names, at most one byte more than its length; it must have
// a hash. Errors: *MismatchError, or one of reading or writing.
func (m FileMeta) Copy(w io.Writer, r io.Reader) error {
	h512, h256 := sha512.New(), sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h512, h256), io.LimitReader(r, m.Length+1))
	if err != nil {
		return err
	}
	if n != m.Length {
		return &MismatchError{fmt.Errorf("length is not %d", m.Length)}
	}
	err = m.Hashes.fit(func(alg string) string {
		if alg == "sha512" {
			return hex.EncodeToString(h512.Sum(nil))
		}
		return hex.EncodeToString(h256.Sum(nil))
	})
	if err != nil {
		return &MismatchError{err}
	}
	return nil
}

// Same reports whether both name the same version with the same hashes.
func (m FileMeta) Same(o FileMeta) bool {
	return m.Version == o.Version && len(m.Hashes) > 0 && maps.Equal(m.Hashes, o.Hashes)
}

// SameContent reports whether both name the same bytes.
func (m FileMeta) SameContent(o FileMeta) bool {
	if m.Length != o.Length {
		return false
	}
	for _, alg := range []string{"sha512", "sha256"} {
		a, b := m.Hashes[alg], o.Hashes[alg]
		if a != "" && b != "" {
			return a == b
		}
	}
	return false
}
