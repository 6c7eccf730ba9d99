package online

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf/tuftest"
	"github.com/fleet-hsm/fleet-hsm/internal/wiresig"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
)

// TestOneKeyCountsOnce: whatever number of key IDs a root gives to one public key, and
// however often a key has signed, it is one holder.
func TestOneKeyCountsOnce(t *testing.T) {
	t.Parallel()
	one, two := repotest.NewKey(t), repotest.NewKey(t)
	id := func(digit string) tuf.KeyID {
		parsed, err := tuf.ParseKeyID(strings.Repeat(digit, 64))
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	rk := roleKeys{threshold: 2, keys: map[tuf.KeyID]crypto.PublicKey{id("1"): one.Public(), id("a"): one.Public(), id("2"): two.Public()}}
	message := []byte("{}")
	by := func(key ed25519.PrivateKey, digit string) tuf.Signature {
		sig, err := wiresig.Sign(key, message)
		if err != nil {
			t.Fatal(err)
		}
		return tuf.Signature{KeyID: id(digit), Sig: hex.EncodeToString(sig)}
	}
	for name, c := range map[string]struct {
		sigs []tuf.Signature
		ok   bool
	}{
		"two keys":                   {[]tuf.Signature{by(one, "1"), by(two, "2")}, true},
		"one key alone":              {[]tuf.Signature{by(one, "1")}, false},
		"one key under two IDs":      {[]tuf.Signature{by(one, "1"), by(one, "a")}, false},
		"one signature twice":        {[]tuf.Signature{by(one, "1"), by(one, "1")}, false},
		"two keys, one under two":    {[]tuf.Signature{by(one, "1"), by(one, "a"), by(two, "2")}, true},
		"under the ID of the other":  {[]tuf.Signature{by(one, "1"), by(one, "2")}, false},
		"a key that root names not":  {[]tuf.Signature{by(one, "1"), by(two, "3")}, false},
		"a signature that is no hex": {[]tuf.Signature{by(one, "1"), {KeyID: id("2"), Sig: "zz"}}, false},
	} {
		if err := rk.verify(&file{message: message, signatures: c.sigs}); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOnlyKeyIDsInMetadata: whatever else stands where a key ID belongs, the file is
// refused before anything of it is looked at.
func TestOnlyKeyIDsInMetadata(t *testing.T) {
	t.Parallel()
	id, whole := tuftest.ID, tuftest.Root()
	if _, err := parseRoot(whole); err != nil {
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
			if _, err := parseRoot(forged); !errors.As(err, &refused) {
				t.Errorf("%q in place %d: error %v, want a KeyIDError", bad, i, err)
			}
		}
	}
	if _, err := parseRoot(bytes.Replace(whole, []byte(`"keyid":"`+id+`",`), nil, 1)); err == nil {
		t.Error("a signature without a key ID was read")
	}
}
