package s3test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Says is an answer of the S3 protocol.
func Says(status int, code, message string) *http.Response {
	return page(status, "application/xml", "<Error><Code>"+code+"</Code><Message>"+message+"</Message></Error>")
}

// page is an answer of any other kind.
func page(status int, contentType, text string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(text))}
}

func isPut(r *http.Request) bool  { return r.Method == http.MethodPut }
func isPart(r *http.Request) bool { return isPut(r) && r.URL.Query().Has("partNumber") }
func isUpload(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploads")
}
func isList(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Has("list-type")
}

// begins: the request that makes a file, and carries what the whole file is to have.
func begins(r *http.Request) bool { return isPut(r) && !isPart(r) || isUpload(r) }

// Rules of buckets.

// ObjectLock wants a checksum with all content, as buckets with object lock do.
func ObjectLock() Fault {
	return Fault{Name: "object-lock", Answer: func(r *http.Request) *http.Response {
		if isPut(r) && r.Header.Get("Content-Md5") == "" && r.Header.Get("X-Amz-Sdk-Checksum-Algorithm") == "" {
			return Says(http.StatusBadRequest, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
		}
		return nil
	}}
}

// Encrypted refuses what does not ask for this encryption.
func Encrypted(algorithm, key string) Fault {
	return Fault{Name: "encrypted-" + algorithm, Answer: func(r *http.Request) *http.Response {
		const sse = "X-Amz-Server-Side-Encryption"
		if begins(r) && (r.Header.Get(sse) != algorithm || r.Header.Get(sse+"-Aws-Kms-Key-Id") != key) {
			return Says(http.StatusForbidden, "AccessDenied", "Access Denied")
		}
		return nil
	}}
}

// RequesterPays refuses whoever does not say that they pay, with a signed header.
func RequesterPays() Fault {
	return Fault{Name: "requester-pays", Answer: func(r *http.Request) *http.Response {
		if r.Header.Get("X-Amz-Request-Payer") != "requester" || !strings.Contains(r.Header.Get("Authorization"), "x-amz-request-payer") {
			return Says(http.StatusForbidden, "AccessDenied", "Access Denied")
		}
		return nil
	}}
}

// Versioned has versions of each file: a deletion hides, and every answer names one.
func Versioned() Fault {
	return Fault{Name: "versioned", Edit: func(resp *http.Response) { resp.Header.Set("X-Amz-Version-Id", "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY") }}
}

// WriteOnce keeps each file as it was written first, and does not delete: a retention
// rule without versions.
func WriteOnce() Fault {
	var mu sync.Mutex
	there := map[string]bool{}
	return Fault{Name: "write-once", Answer: func(r *http.Request) *http.Response {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodDelete && !r.URL.Query().Has("uploadId") || begins(r) && (there[r.URL.Path] || r.Header.Get("If-Match") != "") {
			if r.Header.Get("If-None-Match") != "" {
				return Says(http.StatusPreconditionFailed, "PreconditionFailed", "")
			}
			return Says(http.StatusForbidden, "AccessDenied", "Object is WORM protected and cannot be overwritten")
		}
		there[r.URL.Path] = there[r.URL.Path] || begins(r)
		return nil
	}}
}

// NoDelete denies deletion.
func NoDelete() Fault {
	return Fault{Name: "no-delete", Answer: func(r *http.Request) *http.Response {
		if r.Method == http.MethodDelete && !r.URL.Query().Has("uploadId") {
			return Says(http.StatusForbidden, "AccessDenied", "Access Denied")
		}
		return nil
	}}
}

// NoList denies listing.
func NoList() Fault {
	return Fault{Name: "no-list", Answer: func(r *http.Request) *http.Response {
		if isList(r) {
			return Says(http.StatusForbidden, "AccessDenied", "Access Denied")
		}
		return nil
	}}
}

// NoParts does not know uploads in parts, as some gateways.
func NoParts() Fault {
	return Fault{Name: "no-parts", Answer: func(r *http.Request) *http.Response {
		if isUpload(r) {
			return Says(http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented")
		}
		return nil
	}}
}

// Proxies and gateways.

// etags rewrites ETags on the way back.
func etags(name string, f func(string) string) Fault {
	return Fault{Name: name, Edit: func(resp *http.Response) {
		if tag := resp.Header.Get("ETag"); tag != "" {
			resp.Header.Del("ETag")
			if tag = f(strings.Trim(tag, `"`)); tag != "" {
				resp.Header["Etag"] = []string{tag}
			}
		}
	}}
}

// WeakETags marks ETags as weak, as nginx does where it compresses.
func WeakETags() Fault {
	return etags("weak-etags", func(t string) string { return `W/"` + t + `"` })
}

// BareETags loses the quotes.
func BareETags() Fault { return etags("bare-etags", func(t string) string { return t }) }

// SuffixedETags adds to ETags and does not take it off again, as Apache's mod_deflate.
func SuffixedETags() Fault {
	return etags("suffixed-etags", func(t string) string { return `"` + t + `-gzip"` })
}

// NoETags strips them.
func NoETags() Fault { return etags("no-etags", func(string) string { return "" }) }

// NoMetadata strips what was stored with a file.
func NoMetadata() Fault {
	return Fault{Name: "no-metadata", Edit: func(resp *http.Response) {
		for name := range resp.Header {
			if strings.HasPrefix(name, "X-Amz-") {
				resp.Header.Del(name)
			}
		}
	}}
}

// NoLength sends everything in chunks.
func NoLength() Fault {
	return Fault{Name: "no-length", Edit: func(resp *http.Response) {
		if resp.Request.Method == http.MethodGet {
			resp.Header.Del("Content-Length")
			resp.ContentLength = -1
		}
	}}
}

// NoConditions strips If-Match and If-None-Match from requests.
func NoConditions() Fault {
	return Fault{Name: "no-conditions", Answer: func(r *http.Request) *http.Response {
		r.Header.Del("If-Match")
		r.Header.Del("If-None-Match")
		return nil
	}}
}

// RefusedConditions answers 412 to every If-Match: something in front compares weakly.
func RefusedConditions() Fault {
	return Fault{Name: "refused-conditions", Answer: func(r *http.Request) *http.Response {
		if isPut(r) && r.Header.Get("If-Match") != "" {
			return page(http.StatusPreconditionFailed, "text/plain", "")
		}
		return nil
	}}
}

// LoginPage answers everything with a page, HTTP status 200.
func LoginPage() Fault {
	return Fault{Name: "login-page", Answer: func(*http.Request) *http.Response {
		return page(http.StatusOK, "text/html; charset=utf-8", "<html><title>Sign in</title></html>")
	}}
}

// PlainPage is LoginPage without the type that gives it away, and dated as a file.
func PlainPage() Fault {
	return Fault{Name: "plain-page", Answer: func(*http.Request) *http.Response {
		resp := page(http.StatusOK, "text/plain", "Please sign in")
		resp.Header.Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		return resp
	}}
}

// LoginRedirect sends everything to a login.
func LoginRedirect() Fault {
	return Fault{Name: "login-redirect", Answer: func(*http.Request) *http.Response {
		resp := page(http.StatusFound, "text/html", "")
		resp.Header.Set("Location", "https://login.example.com/?back=1")
		return resp
	}}
}

// Firewall refuses with a page of its own.
func Firewall() Fault {
	return Fault{Name: "firewall", Answer: func(*http.Request) *http.Response {
		return page(http.StatusForbidden, "text/html", "<html>Blocked. Ticket 4711</html>")
	}}
}

// SmallBodies refuses bodies over a size, as proxies do by default.
func SmallBodies(limit int64) Fault {
	return Fault{Name: "small-bodies", Answer: func(r *http.Request) *http.Response {
		if r.ContentLength > limit {
			return page(http.StatusRequestEntityTooLarge, "text/html", "<html>413 Request Entity Too Large</html>")
		}
		return nil
	}}
}

// Damaged changes a byte of what is sent, as a broken middlebox does.
func Damaged() Fault {
	return Fault{Name: "damaged", Answer: func(r *http.Request) *http.Response {
		if isPut(r) {
			data, _ := io.ReadAll(r.Body)
			if len(data) > 0 {
				data[len(data)/2] ^= 1
			}
			r.Body = io.NopCloser(bytes.NewReader(data))
		}
		return nil
	}}
}

// None lets everything through.
func None() Fault { return Fault{Name: "none"} }
