package store

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf/tuftest"
)

// TestOnlyKeyIDsInMetadata: whatever else stands where a key ID belongs, the file is
// refused before anything of it is looked at.
func TestOnlyKeyIDsInMetadata(t *testing.T) {
	t.Parallel()
	id, whole := tuftest.ID, tuftest.Root()
	if _, err := parseMetadata(whole, roleRoot); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", `\u001b[2J`, `\u202e` + id[1:], "../" + id[3:], strings.Repeat("A", 64), id[1:]} {
		for i := range 3 {
			at := 0
			for range i + 1 {
				at += bytes.Index(whole[at:], []byte(id)) + 1
			}
			forged := append(bytes.Clone(whole[:at-1]), append([]byte(bad), whole[at-1+len(id):]...)...)
			var refused *tuf.KeyIDError
			if _, err := parseMetadata(forged, roleRoot); !errors.As(err, &refused) {
				t.Errorf("%q in place %d: error %v, want a KeyIDError", bad, i, err)
			}
		}
	}
	if _, err := parseMetadata(bytes.Replace(whole, []byte(`"keyid":"`+id+`",`), nil, 1), roleRoot); err == nil {
		t.Error("a signature without a key ID was read")
	}
}
