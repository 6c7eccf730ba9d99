package store

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]Location{
		"file:///srv/updates":                          {Scheme: "file", Path: "/srv/updates"},
		"file:///srv/updates/":                         {Scheme: "file", Path: "/srv/updates"},
		"file://localhost/srv/updates":                 {Scheme: "file", Path: "/srv/updates"},
		"file:///srv/my%20updates":                     {Scheme: "file", Path: "/srv/my updates"},
		"s3://" + strings.Repeat("b", 63):              {Scheme: "s3", Bucket: strings.Repeat("b", 63)},
		"s3://updates":                                 {Scheme: "s3", Bucket: "updates"},
		"s3://updates/a/b/":                            {Scheme: "s3", Bucket: "updates", Prefix: "a/b"},
		"s3://u.p-1?region=auto":                       {Scheme: "s3", Bucket: "u.p-1", Region: "auto"},
		"s3://upd?endpoint=minio.example.com":          {Scheme: "s3", Bucket: "upd", Endpoint: "minio.example.com"},
		"s3://upd?endpoint=https://h:9000/":            {Scheme: "s3", Bucket: "upd", Endpoint: "h:9000"},
		"s3://upd?endpoint=http://[::1]:9000":          {Scheme: "s3", Bucket: "upd", Endpoint: "[::1]:9000", Plain: true},
		"s3://upd?endpoint=https%3A%2F%2Fh":            {Scheme: "s3", Bucket: "upd", Endpoint: "h"},
		"s3://upd/p?style=path&region=eu-1":            {Scheme: "s3", Bucket: "upd", Prefix: "p", Style: "path", Region: "eu-1"},
		"s3://upd?endpoint=h:1&region=r&style=virtual": {Scheme: "s3", Bucket: "upd", Endpoint: "h:1", Region: "r", Style: "virtual"},
		"s3://upd?sse=AES256":                          {Scheme: "s3", Bucket: "upd", SSE: "AES256"},
		"s3://upd?sse=aws:kms&payer=requester":         {Scheme: "s3", Bucket: "upd", SSE: "aws:kms", Payer: "requester"},
		"s3://upd?sse=aws:kms:arn:aws:kms:eu:1:key/ab": {Scheme: "s3", Bucket: "upd", SSE: "aws:kms:arn:aws:kms:eu:1:key/ab"},
	} {
		got, err := Parse(in)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", "updates", "/srv/updates", "updates/x", "http://example.com", "S4://x", "file:srv", "file://srv/updates", "file:///",
		"file:///srv?x=1", "file:///srv/../etc", "file:///srv#a", "file:///srv?", "file:///a%00b", "file:///srv/%2e%2e/x",
		"s3://", "s3:bucket", "s3://AB", "s3://Bucket", "s3://a", "s3://a..b", "s3://10.0.0.1", "s3://bucket:80", "s3://bucket//a", "s3://bucket/a/../b",
		"s3://key:secret@bucket", "s3://bucket?nonsense=1", "s3://bucket?region=a&region=b", "s3://bucket?region=", "s3://bucket?region=a b",
		"s3://bucket?endpoint=", "s3://bucket?endpoint=ftp://h", "s3://bucket?endpoint=https://u:p@h", "s3://bucket?endpoint=https://h/path",
		"s3://bucket?endpoint=h:0", "s3://bucket?endpoint=h:99999", "s3://bucket?endpoint=h:080", "s3://bucket?style=auto", "s3://bucket?region=a;style=path",
		"s3://bucket/%zz", "s3://bucket/a\nb", "s3://bucket/#x", "s3://bucket?", "s3://bucket?endpoint=https://h?x", "s3://bucket?%zz=1",
		"s3://bucket?sse=", "s3://bucket?sse=none", "s3://bucket?sse=aws:kms:", "s3://bucket?sse=aws:kms:a%26b", "s3://bucket?payer=me", "s3://bucket?payer=requester&endpoint=http://h",
		"s3://ab", "s3://" + strings.Repeat("b", 64), "s3://bucket?region=" + strings.Repeat("r", 65), "s3://bucket?endpoint=" + strings.Repeat("h", 254),
	} {
		if got, err := Parse(in); !errors.Is(err, ErrBadURL) {
			t.Errorf("%q was taken as %+v, %v", in, got, err)
		}
	}
}

func TestErrorHidesSecrets(t *testing.T) {
	for _, in := range []string{"s3://key:hunter2@bucket", "s3://bucket?secret=hunter2", "s3://bucket/a?endpoint=https://u:hunter2@h", "s3://b@d:hunter2@bucket#hunter2"} {
		_, err := Parse(in)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"file:///srv/updates", "s3://bucket/prefix?endpoint=https://h:9000&region=eu&style=path", "s3://b..b", "file:///%2e%2e/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		loc, err := Parse(in)
		if err != nil {
			if !errors.Is(err, ErrBadURL) {
				t.Fatalf("%q: untyped error %v", in, err)
			}
			return
		}
		again, err := Parse(loc.String())
		if err != nil || again != loc {
			t.Fatalf("%q -> %q -> %+v, %v; was %+v", in, loc, again, err, loc)
		}
	})
}
