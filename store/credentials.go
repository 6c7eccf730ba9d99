package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// anonymousFor is how long nobody looks again for credentials that were not found.
const anonymousFor = 5 * time.Minute

// metadataTimeout bounds the question for the role of the machine, so that machines
// in no cloud do not wait long.
const metadataTimeout = 2 * time.Second

// sourceTimeout bounds a source of credentials that was named: a process of the
// user's, or a token service. The vendor's library itself allows a process a minute.
const sourceTimeout = 90 * time.Second

// CredentialKind says what kind of source a CredentialError is about.
type CredentialKind string

// Kinds of sources.
const (
	CredentialKeys    CredentialKind = "keys"    // one of a pair of variables is missing
	CredentialProfile CredentialKind = "profile" // no such profile, or it cannot be read
	CredentialSSO     CredentialKind = "sso"
	CredentialProcess CredentialKind = "process" // credential_process
	CredentialRole    CredentialKind = "role"    // a role to be assumed
	CredentialService CredentialKind = "service" // a container's or machine's role
	CredentialAlias   CredentialKind = "alias"   // of mc
)

// CredentialError: credentials that somebody named cannot be had. Nothing else was
// tried in their place: whoever names a profile does not want to write as another one.
type CredentialError struct {
	Kind CredentialKind
	// Source is where they should come from, such as `profile "release" (AWS_PROFILE)`.
	Source string
	// Profile is the profile's name, if the source is one.
	Profile string
	Err     error
}

func (e *CredentialError) Error() string {
	return fmt.Sprintf("credentials from %s: %v", e.Source, e.Err)
}

func (e *CredentialError) Unwrap() error { return e.Err }

// Identified is a Store that signs its requests.
type Identified interface {
	// Identity says where the credentials come from, never what they are; it asks
	// for them if nobody has yet. ErrNoCredentials: requests are not signed.
	Identity(ctx context.Context) (string, error)
}

// source is one place of credentials.
type source struct {
	// name is for people.
	name string
	// get gives them again whenever they are asked for, from memory where it can.
	get func(context.Context) (credentials.Value, error)
	// unnamed: nobody asked for this source, so it may have nothing.
	unnamed bool
}

// identity looks for credentials, in this order:
//
//	AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
//	MINIO_ACCESS_KEY and MINIO_SECRET_KEY (or MINIO_ROOT_USER, MINIO_ROOT_PASSWORD)
//	AWS_WEB_IDENTITY_TOKEN_FILE; AWS_PROFILE, or the profile "default", with all that
//	    a profile can name: keys, roles by way of other profiles, SSO, a process
//	the role of the container
//	mc's alias: MINIO_ALIAS, or "s3"
//	the role of the machine
//
// The first that was named is the only one: if it fails, that is the error. Only where
// nothing was named and the machine has no role are requests not signed. What is
// Amazon's is read by Amazon's library.
type identity struct {
	aws awsOptions

	mu     sync.Mutex
	chosen *source
	// until is how long it is not looked again after nothing was found.
	until time.Time
}

// RetrieveWithCredContext implements credentials.Provider.
func (i *identity) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	ctx := context.Background()
	if cc != nil && cc.Context != nil {
		ctx = cc.Context
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.chosen == nil {
		s, err := i.choose(ctx)
		if err != nil {
			return credentials.Value{}, err
		}
		i.chosen = s
	}
	limit := sourceTimeout
	if i.chosen.unnamed {
		limit = metadataTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	v, err := i.chosen.get(ctx)
	if err == nil {
		return v, nil
	}
	if !i.chosen.unnamed {
		return credentials.Value{}, err
	}
	i.chosen, i.until = nil, time.Now().Add(anonymousFor)
	return credentials.Value{SignerType: credentials.SignatureAnonymous}, nil
}

// Retrieve implements credentials.Provider.
func (i *identity) Retrieve() (credentials.Value, error) { return i.RetrieveWithCredContext(nil) }

// IsExpired implements credentials.Provider. Sources know themselves when they have to
// look again.
func (i *identity) IsExpired() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return !time.Now().Before(i.until)
}

// name is where the credentials came from, "" for nowhere.
func (i *identity) name() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.chosen == nil {
		return ""
	}
	return i.chosen.name
}

func (i *identity) choose(ctx context.Context) (*source, error) {
	if err := wholePairs(); err != nil {
		return nil, err
	}
	fromAWS, err := i.aws.source(ctx)
	if err != nil {
		return nil, err
	}
	if fromAWS.kind == CredentialKeys {
		return &fromAWS.source, nil
	}
	if s := minioKeys(); s != nil {
		return s, nil
	}
	if !fromAWS.unnamed {
		return &fromAWS.source, nil
	}
	if s, err := mcAlias(); s != nil || err != nil {
		return s, err
	}
	return &fromAWS.source, nil
}

// pairs of variables that mean nothing alone.
func pairs() [][2]string {
	return [][2]string{
		{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
		{"MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"},
		{"MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"},
	}
}

func wholePairs() error {
	for _, p := range pairs() {
		id, secret := os.Getenv(p[0]), os.Getenv(p[1])
		if p[0] == "AWS_ACCESS_KEY_ID" { // the library takes older names too
			id, secret = firstOf(id, os.Getenv("AWS_ACCESS_KEY")), firstOf(secret, os.Getenv("AWS_SECRET_KEY"))
		}
		missing := ""
		switch {
		case id != "" && secret == "":
			missing = p[1]
		case id == "" && secret != "":
			missing = p[0]
		}
		if missing != "" {
			return &CredentialError{Kind: CredentialKeys, Source: "the environment", Err: fmt.Errorf("%s is not set, and %s is", missing, otherOf(p, missing))}
		}
	}
	return nil
}

func otherOf(p [2]string, name string) string {
	if p[0] == name {
		return p[1]
	}
	return p[0]
}

func minioKeys() *source {
	for _, p := range pairs()[1:] {
		if v := (credentials.Value{AccessKeyID: os.Getenv(p[0]), SecretAccessKey: os.Getenv(p[1]), SignerType: credentials.SignatureV4}); v.AccessKeyID != "" {
			return &source{
				name: "the environment (" + p[0] + ")",
				get:  func(context.Context) (credentials.Value, error) { return v, nil },
			}
		}
	}
	return nil
}

// errNoAlias: mc's configuration has no keys under the alias.
var errNoAlias = errors.New("no such alias with keys in mc's configuration")

// mcAlias reads mc's configuration; nil if nobody named an alias and "s3" is none.
func mcAlias() (*source, error) {
	named := os.Getenv("MINIO_ALIAS")
	v, err := (&credentials.FileMinioClient{}).Retrieve()
	if err == nil && v.AccessKeyID == "" {
		err = errNoAlias
	}
	name := fmt.Sprintf("mc's alias %q", firstOf(named, "s3"))
	switch {
	case err == nil:
		return &source{name: name, get: func(context.Context) (credentials.Value, error) { return v, nil }}, nil
	case named == "":
		return nil, nil
	}
	return nil, &CredentialError{Kind: CredentialAlias, Source: name + " (MINIO_ALIAS)", Err: err}
}
