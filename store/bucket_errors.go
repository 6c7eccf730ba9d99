package store

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"unicode"

	"github.com/minio/minio-go/v7"
)

// fail wraps an error and gives it the cause that errors.Is finds.
func (b *bucket) fail(op, name string, err error) error {
	var resp minio.ErrorResponse
	if errors.As(err, &resp) && resp.Code == gatewayCode {
		err = &GatewayError{What: resp.Message}
	} else if errors.As(err, &resp) {
		cause := causeOf(resp)
		if errors.Is(cause, fs.ErrPermission) && b.anonymous() {
			cause = ErrNoCredentials // a request without any was refused
		}
		err = &responseError{cause: cause, resp: resp}
	}
	return &OpError{Op: op, Name: name, Store: b.String(), Err: err}
}

// causeOf goes by the server's code, then by the status. Not by status 404 where there
// is another code: that says that a user or a tenant is unknown, and nothing of the
// file. To an answer without a code the client library gives one.
func causeOf(resp minio.ErrorResponse) error {
	switch resp.Code {
	case "NoSuchBucket":
		return ErrNoStore
	case "NoSuchKey", "NoSuchVersion", "NoSuchObject", "NotFound":
		return fs.ErrNotExist
	case "PreconditionFailed", conflictCode:
		return ErrPrecondition
	case "NotImplemented":
		return ErrUnsupported
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "XAdminUserNotFound":
		return ErrCredentials
	case "RequestTimeTooSkewed":
		return ErrClock
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException":
		return ErrRegion
	}
	switch resp.StatusCode {
	case http.StatusForbidden, http.StatusUnauthorized:
		return fs.ErrPermission
	case http.StatusPreconditionFailed:
		return ErrPrecondition
	case http.StatusNotImplemented:
		return ErrUnsupported
	}
	return nil
}

// conflictCode says that another write of the same file was under way, and that this
// one may be tried again (Amazon S3 API reference, PutObject).
const conflictCode = "ConditionalRequestConflict"

// conflictTries is how often a write is tried that met another one under way.
const conflictTries = 5

func isConflict(err error) bool {
	var resp minio.ErrorResponse
	return errors.As(err, &resp) && resp.Code == conflictCode
}

// responseError is what the server answered.
type responseError struct {
	cause error // may be nil
	resp  minio.ErrorResponse
}

func (e *responseError) Error() string {
	s := fmt.Sprintf("%s (%s, HTTP status %d)", strings.TrimSuffix(oneLine(e.resp.Message), "."), oneLine(e.resp.Code), e.resp.StatusCode)
	if e.cause != nil {
		s = e.cause.Error() + ": " + s
	}
	return s
}

// maxMessage is how much of a server's words an error repeats; bytes.
const maxMessage = 200

// oneLine makes a server's words fit for a line on a terminal: they may be a page of
// HTML, or anything.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "..."
	}
	return s
}

func (e *responseError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.resp}
	}
	return []error{e.cause, e.resp}
}

// isHex is a function, and not one of the patterns beside it, because a repetition
// counted by the hundred costs a millisecond at the start of every command.
func isHex(s string, digits int) bool {
	return len(s) == digits && strings.Trim(s, "0123456789abcdef") == ""
}
