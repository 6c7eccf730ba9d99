package tuftest

import (
	"fmt"
	"strings"
)

const sum = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"

func listing(typ, version, expires, meta string) string {
	return fmt.Sprintf(`{"_type":%q,"expires":%q,"meta":{"snapshot.json":%s},"spec_version":"1.0","version":%s}`, typ, expires, meta, version)
}

const (
	when = "2030-01-01T00:00:00Z"
	good = `{"hashes":{"sha512":"` + sum + `"},"length":0,"version":1}`
)

// listings are timestamps.
func listings() []Case {
	var out []Case
	for _, c := range []struct {
		name, signed string
		ok           bool
	}{
		{"whole", listing("timestamp", "1", when, good), true},
		{"of another role", listing("snapshot", "1", when, good), false},
		{"of another role in capitals", listing("Timestamp", "1", when, good), false},
		{"version 0", listing("timestamp", "0", when, good), false},
		{"a version below zero", listing("timestamp", "-1", when, good), false},
		{"a version that is text", listing("timestamp", `"1"`, when, good), false},
		{"a version that is a fraction", listing("timestamp", "1.5", when, good), false},
		{"a version beyond 64 bits", listing("timestamp", "9223372036854775808", when, good), false},
		{"no expiry", `{"_type":"timestamp","meta":{"snapshot.json":` + good + `},"version":1}`, false},
		{"an expiry that is no time", listing("timestamp", "1", "soon", good), false},
		{"a hash that is no hex", listing("timestamp", "1", when, strings.Replace(good, sum, "zz"+sum[2:], 1)), false},
		{"a hash of half a byte", listing("timestamp", "1", when, strings.Replace(good, sum, sum[1:], 1)), false},
		{"a hash that is a number", listing("timestamp", "1", when, strings.Replace(good, `"`+sum+`"`, "7", 1)), false},
	} {
		out = append(out, Case{"timestamp: " + c.name, "timestamp", envelope(signature(ID), c.signed), c.ok})
	}
	return out
}

// envelopes are of a timestamp that would be good.
func envelopes() []Case {
	ts := listing("timestamp", "1", when, good)
	deep := strings.Replace(ts, `"spec_version"`, `"more":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`,"spec_version"`, 1)
	var out []Case
	for _, c := range []struct {
		name, data string
		ok         bool
	}{
		{"indented", "{\n \"signed\": " + ts + ",\n \"signatures\": [" + signature(ID) + "]\n}\n", true},
		{"with a field that nobody knows", `{"more":1,"signatures":[],"signed":` + ts + `}`, true},
		{"without signatures", `{"signed":` + ts + `}`, true},
		{"signatures that are null", `{"signatures":null,"signed":` + ts + `}`, true},
		{"signatures that are an object", `{"signatures":{},"signed":` + ts + `}`, false},
		{"a signature without a key ID", string(envelope(`{"sig":"00"}`, ts)), false},
		{"a signature that is null", string(envelope("null", ts)), false},
		{"a signature under a path", string(envelope(signature("../../etc/passwd"), ts)), false},
		{"a signature under a short key ID", string(envelope(signature(ID[1:]), ts)), false},
		{"a signature that is a number", string(envelope(fmt.Sprintf(`{"keyid":%q,"sig":7}`, ID), ts)), false},
		{"nothing signed", `{"signatures":[` + signature(ID) + `]}`, false},
		{"signed that is null", string(envelope(signature(ID), "null")), false},
		{"signed that is text", string(envelope(signature(ID), `"{}"`)), false},
		{"signed that is a list", string(envelope(signature(ID), "["+ts+"]")), false},
		{"nested deeply", string(envelope(signature(ID), deep)), false},
		{"cut off", string(envelope(signature(ID), ts))[:200], false},
		{"more behind it", string(envelope(signature(ID), ts)) + "{}", false},
		{"empty", "", false},
		{"a list", "[]", false},
		{"null", "null", false},
	} {
		out = append(out, Case{"envelope: " + c.name, "timestamp", []byte(c.data), c.ok})
	}
	return out
}
