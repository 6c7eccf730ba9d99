//go:build cgo && linux

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// TestDoctorNamesTheSetting: `doctor --store` in front of buckets with rules and behind
// proxies says what to do; store's TestFaults has every fault, here each kind of hint.
func TestDoctorNamesTheSetting(t *testing.T) {
	t.Parallel()
	srv := s3test.Start(t)
	dir := t.TempDir()
	for _, c := range []struct {
		fault s3test.Fault
		code  int
		says  []string
	}{
		{s3test.None(), 0, []string{"credentials: the environment (AWS_ACCESS_KEY_ID)", "large files can be written"}},
		{s3test.Encrypted("AES256", ""), 1, []string{`add "&sse=AES256" to its URL`}},
		{s3test.Encrypted("aws:kms", "k1"), 1, []string{"sse=aws:kms:KEYID"}},
		{s3test.RequesterPays(), 1, []string{`add "&payer=requester" to its URL`}},
		{s3test.WriteOnce(), 1, []string{"turn versioning on"}},
		{s3test.NoDelete(), 1, []string{`only "publish --prune" deletes`}},
		{s3test.NoETags(), 1, []string{"let ETag, If-Match and If-None-Match pass"}},
		{s3test.NoConditions(), 1, []string{"let ETag, If-Match and If-None-Match pass", "run exactly one signer"}},
		{s3test.LoginPage(), 1, []string{"a proxy or gateway answered in the store's place: HTTP status 200 with a page of text/html", "log in to the proxy"}},
	} {
		t.Run(c.fault.Name, func(t *testing.T) {
			t.Parallel()
			p := srv.Behind(t, c.fault)
			r := hsm(t, s3test.Env(), "doctor", "--path", dir, "--store", p.URL(filepath.Base(t.Name())), "--ca-file", p.CAFile)
			if r.code != c.code {
				t.Errorf("exit %d, not %d: %s%s", r.code, c.code, r.stdout, r.stderr)
			}
			for _, s := range c.says {
				if !strings.Contains(r.stdout, s) {
					t.Errorf("no %q in %s", s, r.stdout)
				}
			}
			if strings.Contains(r.stdout+r.stderr, "another machine") {
				t.Errorf("another machine is blamed: %s%s", r.stdout, r.stderr)
			}
		})
	}
}
