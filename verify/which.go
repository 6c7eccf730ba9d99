package verify

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"slices"
)

// Which reads a file that somebody got elsewhere and gives the targets, sorted, that the
// verified targets.json names with the same length and hashes; none if it names no such
// bytes.
func (r *Report) Which(file io.Reader) ([]string, error) {
	long, short := sha512.New(), sha256.New()
	n, err := io.Copy(io.MultiWriter(long, short), file)
	if err != nil {
		return nil, err
	}
	sha512, sha256 := hex.EncodeToString(long.Sum(nil)), hex.EncodeToString(short.Sum(nil))
	var found []string
	for name, t := range r.Named() {
		hashed := t.SHA512 != "" || t.SHA256 != ""
		if hashed && t.Length == n && (t.SHA512 == "" || t.SHA512 == sha512) && (t.SHA256 == "" || t.SHA256 == sha256) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}
