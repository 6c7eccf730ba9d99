package store

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/signer"
)

// GatewayError: what answered is not the store but something in front of it, such as
// a proxy's login page. Nothing can be concluded from it about a file.
type GatewayError struct {
	// What it answered: "HTTP status 200 with text/html", "a redirect to ...".
	What string
}

func (e *GatewayError) Error() string {
	return "a proxy or gateway answered in the store's place: " + e.What
}

// ConditionError: the store refused a write for its condition although the condition
// held: a proxy changed the condition, or the ETag that it names.
type ConditionError struct {
	Condition string // "If-Match" or "If-None-Match"
}

func (e *ConditionError) Error() string {
	return fmt.Sprintf("refused for %s, although nobody changed the file: a proxy or gateway alters ETags or conditions", e.Condition)
}

// gatewayCode marks an answer that was not the store's, for the client library, which
// takes a code from this header.
const (
	gatewayCode   = "AnswerOfAGateway"
	gatewayHeader = "X-Minio-Error-Code"
	gatewayText   = "X-Minio-Error-Desc"
)

// gateway is what every request to a bucket passes. It takes answers of things in
// front of the store for what they are, and undoes what they do to ETags.
type gateway struct {
	next http.RoundTripper
	// creds and region sign again what was added to a request; only with payer.
	payer  string
	creds  *credentials.Credentials
	region string
}

// RoundTrip implements http.RoundTripper.
func (g *gateway) RoundTrip(r *http.Request) (*http.Response, error) {
	if g.payer != "" {
		signed, err := g.pay(r)
		if err != nil {
			return nil, err
		}
		r = signed
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if what := notTheStore(resp); what != "" {
		return gatewayAnswer(resp, what), nil
	}
	// A proxy that compresses or rewrites marks the ETag as weak. It names the same
	// version of the file still, and conditions need a strong one.
	if tag, weak := strings.CutPrefix(resp.Header.Get("ETag"), "W/"); weak {
		resp.Header.Set("ETag", tag)
	}
	return resp, nil
}

// pay adds who pays for a request. The header has to be signed, and the client library
// has no place for it. Without TLS it signs each chunk by the one before, so this needs
// TLS (see Parse).
func (g *gateway) pay(r *http.Request) (*http.Request, error) {
	if r.Header.Get("Authorization") == "" {
		return r, nil
	}
	v, err := g.creds.GetWithContext(&credentials.CredContext{Context: r.Context()})
	if err != nil {
		return nil, err
	}
	again := r.Clone(r.Context())
	again.Header.Del("Authorization")
	again.Header.Set("X-Amz-Request-Payer", g.payer)
	return signer.SignV4(*again, v.AccessKeyID, v.SecretAccessKey, v.SessionToken, g.region), nil
}

// notTheStore says what is wrong with an answer that no S3 server gives, "" for nothing.
func notTheStore(resp *http.Response) string {
	if resp.Header.Get("X-Amz-Request-Id") != "" || resp.Header.Get("X-Amz-Bucket-Region") != "" {
		return ""
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	page := kind == "text/html" || kind == "application/xhtml+xml"
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.StatusCode != http.StatusNotModified && !strings.HasSuffix(kind, "xml"):
		to := "elsewhere"
		if u, err := url.Parse(resp.Header.Get("Location")); err == nil && u.Host != "" {
			to = u.Host
		}
		return fmt.Sprintf("a redirect to %q (HTTP status %d)", to, resp.StatusCode)
	case resp.StatusCode == http.StatusProxyAuthRequired, resp.StatusCode == http.StatusNetworkAuthenticationRequired:
		return fmt.Sprintf("it wants a login (HTTP status %d)", resp.StatusCode)
	case page && resp.StatusCode == http.StatusRequestEntityTooLarge:
		return "it takes no body of this size (HTTP status 413)"
	case page && (resp.StatusCode < 300 || resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusUnauthorized):
		return fmt.Sprintf("HTTP status %d with a page of %s", resp.StatusCode, kind)
	}
	return ""
}

func gatewayAnswer(resp *http.Response, what string) *http.Response {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
	return &http.Response{
		Status: "421 Misdirected Request", StatusCode: http.StatusMisdirectedRequest, Proto: resp.Proto, ProtoMajor: resp.ProtoMajor, ProtoMinor: resp.ProtoMinor,
		Header: http.Header{gatewayHeader: {gatewayCode}, gatewayText: {what}}, Body: http.NoBody, Request: resp.Request,
	}
}
