// Sigstore-kms-aws reaches keys in AWS KMS for programs that speak sigstore's plug-in
// protocol: fleet-hsm ("kms:aws;ref=alias/NAME") and cosign ("aws://alias/NAME").
//
// A reference is the name of an alias ("alias/NAME"), a key ID, or the ARN of either.
// Credentials, region and endpoint come from where AWS's own tools take them: AWS_PROFILE,
// AWS_REGION, AWS_WEB_IDENTITY_TOKEN_FILE and so on. Reading and signing need
// kms:GetPublicKey and kms:Sign on the key; making one needs kms:CreateKey and
// kms:CreateAlias. RSA keys sign with PSS.
//
// An error begins with a word for its cause where AWS has one: denied, expired, throttled,
// unreachable, not-found, disabled.
package main

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"
)

// request is what a caller asks for: argv[2].
type request struct {
	Init struct {
		Deadline *time.Time `json:"ctxDeadline"`
		Ref      string     `json:"keyResourceID"`
	} `json:"initOptions"`
	Method string `json:"methodName"`
	Create struct {
		Algorithm string `json:"algorithm"`
	} `json:"createKey"`
	Sign struct {
		Options messageOptions `json:"signOptions"`
	} `json:"signMessage"`
	Verify struct {
		Signature []byte         `json:"signature"`
		Options   messageOptions `json:"verifyOptions"`
	} `json:"verifySignature"`
}

type messageOptions struct {
	Message struct {
		Digest []byte      `json:"digest"`
		Hash   crypto.Hash `json:"hashFunc"` // 0: SHA-256
	} `json:"messageOptions"`
}

func main() {
	answer, err := serve(os.Args, os.Stdin)
	if err != nil {
		answer = map[string]string{"errorMessage": classify(err)}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil || answer == nil {
		os.Exit(1)
	}
}

// serve answers one request.
func serve(args []string, stdin io.Reader) (any, error) {
	if len(args) < 3 || args[1] != "v1" {
		return nil, errors.New("usage: sigstore-kms-aws v1 REQUEST; programs call it, not people")
	}
	var r request // what is not asked for stays empty
	if err := json.Unmarshal([]byte(args[2]), &r); err != nil {
		return nil, fmt.Errorf("the request cannot be read: %w", err)
	}
	names, _ := kinds()
	switch r.Method { // these need no key
	case "defaultAlgorithm":
		return answerOf(r.Method, r.Method, names[0]), nil
	case "supportedAlgorithms":
		return answerOf(r.Method, r.Method, names), nil
	}
	ctx := context.Background()
	if r.Init.Deadline != nil {
		limited, stop := context.WithDeadline(ctx, *r.Init.Deadline)
		defer stop()
		ctx = limited
	}
	k, err := connect(ctx, r.Init.Ref)
	if err != nil {
		return nil, err
	}
	switch r.Method {
	case "publicKey":
		_, text, err := k.public(ctx)
		return answerOf(r.Method, "publicKeyPEM", text), err
	case "createKey":
		text, err := k.create(ctx, r.Create.Algorithm)
		return answerOf(r.Method, "publicKeyPEM", text), err
	case "signMessage":
		sig, err := k.sign(ctx, stdin, r.Sign.Options)
		return answerOf(r.Method, "signature", sig), err
	case "verifySignature":
		return map[string]any{r.Method: struct{}{}}, k.verify(ctx, stdin, r.Verify.Options, r.Verify.Signature)
	}
	return nil, fmt.Errorf("there is no method %q", r.Method)
}

func answerOf(method, name string, value any) any {
	return map[string]any{method: map[string]any{name: value}}
}

var errNoCredentials = errors.New("no credentials")

// connect makes a client; nothing is sent to the service.
func connect(ctx context.Context, ref string) (*key, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoCredentials, err)
	}
	return &key{client: kms.NewFromConfig(cfg), ref: strings.TrimPrefix(ref, "/")}, nil // aws:///alias/x means alias/x
}

// classify puts the word for its cause before an error.
func classify(err error) string {
	var api smithy.APIError
	var network net.Error
	class := ""
	switch {
	case errors.As(err, &api):
		class = classOf(api.ErrorCode())
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded):
		class = "unreachable"
	case errors.Is(err, errNoCredentials):
		class = "expired"
	}
	if class == "" {
		return err.Error()
	}
	return class + ": " + err.Error()
}

// classOf is the cause behind a code of AWS's, "" for others.
func classOf(code string) string {
	switch code {
	case "NotFoundException":
		return "not-found"
	case "DisabledException", "KMSInvalidStateException":
		return "disabled"
	case "AccessDeniedException", "AccessDenied":
		return "denied"
	case "ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "IncompleteSignature":
		return "expired"
	case "ThrottlingException", "Throttling", "LimitExceededException", "TooManyRequestsException", "RequestLimitExceeded":
		return "throttled"
	case "KMSInternalException", "DependencyTimeoutException", "ServiceUnavailable", "ServiceUnavailableException", "InternalFailure":
		return "unreachable"
	}
	return ""
}
