package piv

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// version is the firmware of a YubiKey.
type version struct{ major, minor, patch int }

// before reports whether v is older than w.
func (v version) before(w version) bool {
	switch {
	case v.major != w.major:
		return v.major < w.major
	case v.minor != w.minor:
		return v.minor < w.minor
	}
	return v.patch < w.patch
}

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch) }

// parseVersion reads "5.4.3", as attestations give it.
func parseVersion(s string) (version, bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return version{}, false
	}
	var n [3]int
	for i, p := range parts {
		var err error
		if n[i], err = strconv.Atoi(p); err != nil {
			return version{}, false
		}
	}
	return version{n[0], n[1], n[2]}, true
}

// advisory is a published flaw of YubiKeys' firmware.
type advisory struct {
	id string
	// from is the first firmware with it, fixed the first without.
	from, fixed version
	// algorithms are the kinds of key that it concerns; none means all.
	algorithms []signer.Algorithm
	// text says what somebody could do, and what it takes.
	text string
	// fatal: no key of the kind is to be made with it.
	fatal bool
}

// advisories are those that concern keys in the PIV applet. Sources:
// https://www.yubico.com/support/security-advisories/ysa-2024-03/ and
// https://www.yubico.com/support/security-advisories/ysa-2017-01/.
func advisories() []advisory {
	return []advisory{
		{
			id: "YSA-2017-01", from: version{4, 2, 6}, fixed: version{4, 3, 5}, fatal: true,
			algorithms: []signer.Algorithm{signer.RSA2048, signer.RSA3072, signer.RSA4096},
			text:       "RSA keys that this firmware makes can be factored from their public part alone (ROCA); P-256 keys are not concerned",
		},
		{
			id: "YSA-2024-03", from: version{0, 0, 0}, fixed: version{5, 7, 0}, algorithms: []signer.Algorithm{signer.P256},
			text: "somebody who has the card for a while, its PIN, and a laboratory that measures it while it signs could copy a P-256 key; " +
				"from afar, or without the PIN, nobody can. Firmware 5.7 and later is not concerned; firmware cannot be updated",
		},
	}
}

// concerns reports whether a key of a kind in a YubiKey with firmware v has the flaw;
// "" asks for any kind.
func (a advisory) concerns(v version, alg signer.Algorithm) bool {
	if v.before(a.from) || !v.before(a.fixed) {
		return false
	}
	if alg == "" || len(a.algorithms) == 0 {
		return true
	}
	for _, one := range a.algorithms {
		if one == alg {
			return true
		}
	}
	return false
}

// advice says which flaws concern a key, in words for people.
func advice(v version, alg signer.Algorithm) []string {
	var out []string
	for _, a := range advisories() {
		if a.concerns(v, alg) {
			out = append(out, fmt.Sprintf("firmware %s is affected by %s: %s", v, a.id, a.text))
		}
	}
	return out
}

// forbidden gives the flaw for which no key of a kind is to be made, "" for none.
func forbidden(v version, alg signer.Algorithm) string {
	for _, a := range advisories() {
		if a.fatal && a.concerns(v, alg) {
			return a.id
		}
	}
	return ""
}
