package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// awsOptions say how Amazon's library is asked for credentials.
type awsOptions struct {
	// region is where its token service is asked if nothing else says so.
	region string
}

// awsSource is what Amazon's library would take, without having asked for it.
type awsSource struct {
	source
	kind CredentialKind
}

// expiryWindow is how long before their end credentials are renewed.
const expiryWindow = 30 * time.Second

// load reads the environment and the files of ~/.aws; it asks nobody.
func (o awsOptions) load(ctx context.Context) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithDefaultRegion(firstOf(o.region, "us-east-1")),
		config.WithCredentialsCacheOptions(func(c *aws.CredentialsCacheOptions) { c.ExpiryWindow = expiryWindow }))
	if err == nil {
		return cfg, nil
	}
	e := &CredentialError{Kind: CredentialProfile, Source: "the AWS configuration files", Profile: os.Getenv("AWS_PROFILE"), Err: err}
	if e.Profile != "" {
		e.Source = fmt.Sprintf("profile %q (AWS_PROFILE)", e.Profile)
	}
	var absent config.SharedConfigProfileNotExistError
	if errors.As(err, &absent) {
		e.Err = fmt.Errorf("there is no such profile in the AWS configuration files")
		if absent.Profile != e.Profile {
			e.Err = fmt.Errorf("there is no profile %q, which it names, in the AWS configuration files", absent.Profile)
		}
	}
	var mfa config.AssumeRoleTokenProviderNotSetError
	if errors.As(err, &mfa) {
		e.Kind, e.Err = CredentialRole, errors.New("the role wants a code of an MFA device")
	}
	return cfg, e
}

// source chooses as the library does and says what it chose.
func (o awsOptions) source(ctx context.Context) (awsSource, error) {
	cfg, err := o.load(ctx)
	if err != nil {
		return awsSource{}, err
	}
	env, profile := configSources(cfg)
	s := sourceOf(env, profile)
	name, kind := s.name, s.kind
	s.get = func(ctx context.Context) (credentials.Value, error) {
		c, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return credentials.Value{}, &CredentialError{Kind: kind, Source: name, Profile: profile.Profile, Err: sourceFault(kind, err)}
		}
		return credentials.Value{
			AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
			Expiration: c.Expires, SignerType: credentials.SignatureV4,
		}, nil
	}
	return s, nil
}

// errProcessOutput stands for the library's error, which repeats what the process
// printed: that may be a secret.
var errProcessOutput = errors.New("what it printed is not what a credential_process prints (JSON, version 1)")

// sourceFault keeps secrets out of errors, and a server's words short.
func sourceFault(kind CredentialKind, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	}
	var process *processcreds.ProviderError
	if kind != CredentialProcess && !errors.As(err, &process) {
		return &quietError{oneLine(err.Error()), err}
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return fmt.Errorf("the process failed: %w", exit)
	case errors.Is(err, context.Canceled):
		return err
	}
	return errProcessOutput
}

// quietError has one line of text and keeps what errors.Is and errors.As find.
type quietError struct {
	text string
	err  error
}

func (e *quietError) Error() string { return e.text }
func (e *quietError) Unwrap() error { return e.err }

func configSources(cfg aws.Config) (env config.EnvConfig, profile config.SharedConfig) {
	for _, s := range cfg.ConfigSources {
		switch s := s.(type) {
		case config.EnvConfig:
			env = s
		case config.SharedConfig:
			profile = s
		}
	}
	return env, profile
}

// sourceOf follows the order of the library's resolveCredentialChain.
func sourceOf(env config.EnvConfig, profile config.SharedConfig) awsSource {
	named := func(kind CredentialKind, name string) awsSource {
		return awsSource{source{name: name}, kind}
	}
	switch {
	case env.Credentials.HasKeys():
		return named(CredentialKeys, "the environment (AWS_ACCESS_KEY_ID)")
	case env.WebIdentityTokenFilePath != "":
		return named(CredentialRole, fmt.Sprintf("role %q with the token in %q (AWS_WEB_IDENTITY_TOKEN_FILE)", env.RoleARN, env.WebIdentityTokenFilePath))
	}
	return sourceOfProfile(env, profile)
}

func sourceOfProfile(env config.EnvConfig, p config.SharedConfig) awsSource {
	where := fmt.Sprintf("profile %q", firstOf(p.Profile, "default"))
	if env.SharedConfigProfile != "" && env.SharedConfigProfile == p.Profile {
		where += " (AWS_PROFILE)"
	}
	s := awsSource{kind: CredentialProfile}
	switch {
	case p.Source != nil:
		s = sourceOfProfile(env, *p.Source)
	case p.Credentials.HasKeys():
		s.name = where
		if file, ok := strings.CutPrefix(p.Credentials.Source, "SharedConfigCredentials: "); ok {
			s.name += fmt.Sprintf(" in %q", file)
		}
	case p.CredentialSource != "":
		s = awsSource{source{name: "credential_source " + p.CredentialSource + " of " + where}, CredentialService}
	case p.WebIdentityTokenFile != "":
		return awsSource{source{name: fmt.Sprintf("role %q of %s with the token in %q", p.RoleARN, where, p.WebIdentityTokenFile)}, CredentialRole}
	case p.SSOSessionName != "" || p.SSOStartURL != "" || p.SSOAccountID != "":
		s = awsSource{source{name: "SSO of " + where}, CredentialSSO}
	case p.LoginSession != "":
		s = awsSource{source{name: "the login of " + where}, CredentialSSO}
	case p.CredentialProcess != "":
		s = awsSource{source{name: "credential_process of " + where}, CredentialProcess}
	case env.ContainerCredentialsRelativePath != "" || env.ContainerCredentialsEndpoint != "":
		s = awsSource{source{name: "the role of the container"}, CredentialService}
	default:
		s = awsSource{source{name: "the role of the machine", unnamed: true}, CredentialService}
	}
	if p.RoleARN != "" {
		s = awsSource{source{name: fmt.Sprintf("role %q of %s, by %s", p.RoleARN, where, s.name)}, CredentialRole}
	}
	return s
}
