package store

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// meddle stands between the client and a real S3 server: what it returns is the
// answer; nil lets the request through, and edit sees what comes back.
type meddle struct {
	next   http.RoundTripper
	answer func(*http.Request) *http.Response
	edit   func(*http.Response)
}

func (m *meddle) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.answer != nil {
		if resp := m.answer(r); resp != nil {
			if r.Body != nil {
				_, _ = io.Copy(io.Discard, r.Body)
				_ = r.Body.Close()
			}
			resp.Request = r
			return resp, nil
		}
	}
	resp, err := m.next.RoundTrip(r)
	if err == nil && m.edit != nil {
		m.edit(resp)
	}
	return resp, err
}

func (m *meddle) wrap(next http.RoundTripper) http.RoundTripper {
	m.next = next
	return m
}

func says(status int, code, message string) *http.Response {
	body := "<Error><Code>" + code + "</Code><Message>" + message + "</Message></Error>"
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

// TestStrangeAnswers: what servers answer is taken for what it means.
func TestStrangeAnswers(t *testing.T) {
	srv := s3test.Start(t)
	for _, c := range []struct {
		status int
		code   string
		want   error
	}{
		{404, "NoSuchKey", fs.ErrNotExist},
		{404, "NoSuchBucket", ErrNoStore},
		{404, "XAdminUserNotFound", ErrCredentials},
		{403, "InvalidAccessKeyId", ErrCredentials},
		{403, "SignatureDoesNotMatch", ErrCredentials},
		{400, "ExpiredToken", ErrCredentials},
		{403, "RequestTimeTooSkewed", ErrClock},
		{400, "AuthorizationHeaderMalformed", ErrRegion},
		{403, "AccessDenied", fs.ErrPermission},
		{501, "Whatever", ErrUnsupported},
	} {
		m := &meddle{answer: func(*http.Request) *http.Response {
			return says(c.status, c.code, "no\n"+strings.Repeat("x", 1000))
		}}
		s := openTest(t, srv.URL(""), OpenOptions{Retries: 1, Wrap: m.wrap})
		_, err := Get(t.Context(), s, "timestamp.json", tuf.MaxTimestamp)
		if !errors.Is(err, c.want) {
			t.Errorf("%d %s: %v", c.status, c.code, err)
		}
		if text := err.Error(); strings.ContainsAny(text, "\x1b\n") || len(text) > 600 {
			t.Errorf("not fit for a terminal: %q", text)
		}
	}
	m := &meddle{answer: func(*http.Request) *http.Response { return says(404, "UnknownTenant", "") }}
	_, err := Get(t.Context(), openTest(t, srv.URL(""), OpenOptions{Retries: 1, Wrap: m.wrap}), "timestamp.json", tuf.MaxTimestamp)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unknown tenant is taken for an absent file: %v", err)
	}
}

func TestReadingWithoutCredentials(t *testing.T) {
	srv := s3test.Start(t)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	_, err := Get(t.Context(), openTest(t, srv.URL(""), OpenOptions{Retries: 1}), "timestamp.json", tuf.MaxTimestamp)
	if !errors.Is(err, ErrNoCredentials) {
		t.Errorf("%v", err)
	}
}

// TestConflictIsTriedAgain: 409 says that another write is under way, not that it won.
func TestConflictIsTriedAgain(t *testing.T) {
	r := repotest.New(t, true)
	r.Commit()
	left := 3
	m := &meddle{answer: func(req *http.Request) *http.Response {
		if req.Method != http.MethodPut || req.Header.Get("If-None-Match") == "" || left == 0 {
			return nil
		}
		left--
		return says(http.StatusConflict, conflictCode, "")
	}}
	publish(t, openTest(t, s3test.Start(t).URL("fleet"), OpenOptions{Wrap: m.wrap}), options(r))
	if left != 0 {
		t.Errorf("%d conflicts were left", left)
	}
}

// TestLostFilesAreNotAnnounced: where a store takes a file and does not serve it, the
// timestamp that leads clients to it is not written.
func TestLostFilesAreNotAnnounced(t *testing.T) {
	for _, lost := range []string{".snapshot.json", ".targets.json", "targets/orbit/linux/2/"} {
		srv := s3test.Start(t)
		r := repotest.New(t, true)
		r.Commit()
		publish(t, openTest(t, srv.URL("fleet"), OpenOptions{}), options(r))
		r.Targets["orbit/linux/2/orbit"] = []byte("two")
		r.Commit()
		m := &meddle{answer: func(req *http.Request) *http.Response {
			if req.Method != http.MethodPut || !strings.Contains(req.URL.Path, lost) {
				return nil
			}
			ok := says(http.StatusOK, "", "")
			ok.Body, ok.Header = http.NoBody, http.Header{"Etag": {`"00"`}}
			return ok
		}}
		s := openTest(t, srv.URL("fleet"), OpenOptions{Wrap: m.wrap})
		before, err := Get(t.Context(), s, "timestamp.json", tuf.MaxTimestamp)
		if err != nil {
			t.Fatal(err)
		}
		p, err := MakePlan(t.Context(), s, options(r))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Publish(t.Context()); !errors.Is(err, ErrReadBack) {
			t.Errorf("%s: %v", lost, err)
		}
		after, err := Get(t.Context(), s, "timestamp.json", tuf.MaxTimestamp)
		if err != nil || after.ETag != before.ETag {
			t.Errorf("%s was lost, and the timestamp over it was written: %v", lost, err)
		}
		m.answer = nil
		publish(t, s, options(r))
	}
}

// TestNoETag: without an ETag a timestamp would be replaced without any condition.
func TestNoETag(t *testing.T) {
	srv := s3test.Start(t)
	r := repotest.New(t, true)
	r.Commit()
	publish(t, openTest(t, srv.URL("fleet"), OpenOptions{}), options(r))
	r.Timestamp()
	m := &meddle{edit: func(resp *http.Response) { resp.Header.Del("ETag") }}
	if _, err := MakePlan(t.Context(), openTest(t, srv.URL("fleet"), OpenOptions{Wrap: m.wrap}), options(r)); !errors.Is(err, ErrUnsupported) {
		t.Errorf("%v", err)
	}
}
