package store

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// nobody takes away everything that credentials could come from on this machine, and
// gives a home of the test's own.
func nobody(t *testing.T) (home string) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "MINIO_") {
			t.Setenv(name, "")
			_ = os.Unsetenv(name)
		}
	}
	home = t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, ".aws", "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, ".aws", "credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return home
}

func writeHome(t *testing.T, home, name, text string) {
	t.Helper()
	p := filepath.Join(home, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// cloud answers as the services that hand out credentials do: the token service, a
// container's and a machine's role. All of it is on loopback.
func cloud(t *testing.T) string {
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	role := func(key string) string {
		return fmt.Sprintf(`{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":"hush","Token":"t","Expiration":%q}`, key, later)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		action := r.Form.Get("Action")
		if !strings.HasSuffix(r.Form.Get("RoleArn"), "/writer") {
			http.Error(w, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>`, http.StatusForbidden)
			return
		}
		_, _ = fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>key-of-%[1]s</AccessKeyId><SecretAccessKey>hush</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%[2]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`, action, later)
	})
	mux.HandleFunc("GET /container", func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, role("key-of-container")) })
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		_, _ = fmt.Fprint(w, "token-v2")
	})
	mux.HandleFunc("GET /latest/meta-data/iam/security-credentials/", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "token-v2": // version 1 is off
			http.Error(w, "", http.StatusUnauthorized)
		case strings.HasSuffix(r.URL.Path, "/"):
			_, _ = fmt.Fprint(w, "machine")
		default:
			_, _ = fmt.Fprint(w, role("key-of-machine"))
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestWhoseCredentials: what is named and can be read is taken, its source is said;
// what is named and cannot be read is an error that names it, and nothing else is tried
// in its place, although the credentials file offers another identity in each case.
func TestWhoseCredentials(t *testing.T) {
	const (
		other   = "[default]\naws_access_key_id = key-of-default\naws_secret_access_key = hush\n"
		profile = "AWS_PROFILE=release"
		secret  = "hush-hush"
	)
	process := func(what string) string { return "[profile release]\ncredential_process = " + what + "\n" }
	for _, c := range []struct {
		name   string
		env    string // NAME=VALUE, separated by spaces; CLOUD is the URL of the test's cloud
		config string
		// want is a part of the source's name; or kind is the error's, and says a part of it.
		want, key string
		kind      CredentialKind
		says      string
		alone     bool // without the default profile
	}{
		{name: "environment", env: "AWS_ACCESS_KEY_ID=key-of-env AWS_SECRET_ACCESS_KEY=hush", want: "the environment (AWS_ACCESS_KEY_ID)", key: "key-of-env"},
		{name: "half of a pair", env: "AWS_ACCESS_KEY_ID=key-of-env", kind: CredentialKeys, says: "AWS_SECRET_ACCESS_KEY is not set"},
		{name: "other half", env: "MINIO_SECRET_KEY=" + secret, kind: CredentialKeys, says: "MINIO_ACCESS_KEY is not set"},
		{name: "minio", env: "MINIO_ACCESS_KEY=key-of-minio MINIO_SECRET_KEY=hush", want: "the environment (MINIO_ACCESS_KEY)", key: "key-of-minio"},
		{name: "default profile", want: `profile "default" in "`, key: "key-of-default"},
		{name: "profile", env: profile, config: "[profile release]\naws_access_key_id = key-of-release\naws_secret_access_key = hush\n", want: `profile "release" (AWS_PROFILE) in "`, key: "key-of-release"},
		{name: "mistyped profile", env: "AWS_PROFILE=relaese", config: "[profile release]\n", kind: CredentialProfile, says: `profile "relaese" (AWS_PROFILE): there is no such profile`},
		{name: "mistyped profile beside keys", env: "AWS_PROFILE=relaese AWS_ACCESS_KEY_ID=key-of-env AWS_SECRET_ACCESS_KEY=hush", kind: CredentialProfile, says: "relaese"},
		{name: "half a profile", env: profile, config: "[profile release]\naws_access_key_id = key-of-release\n", kind: CredentialProfile, says: "release"},
		{name: "sso without login", env: profile, config: "[profile release]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = w\n[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.example.com\n", kind: CredentialSSO, says: `SSO of profile "release"`},
		{name: "old sso without login", env: profile, config: "[profile release]\nsso_start_url = https://corp.example.com\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = w\n", kind: CredentialSSO, says: `SSO of profile "release"`},
		{name: "process", env: profile, config: process(`echo '{"Version":1,"AccessKeyId":"key-of-process","SecretAccessKey":"hush"}'`), want: `credential_process of profile "release"`, key: "key-of-process"},
		{name: "broken process", env: profile, config: process("echo " + secret + " && exit 3"), kind: CredentialProcess, says: "exit status 3"},
		{name: "absent process", env: profile, config: process("/nonexistent/tool"), kind: CredentialProcess, says: "exit status 127"},
		{name: "babbling process", env: profile, config: process("echo SecretAccessKey=" + secret), kind: CredentialProcess, says: "not what a credential_process prints"},
		{name: "role by another profile", env: profile + " AWS_ENDPOINT_URL_STS=CLOUD", config: "[profile release]\nrole_arn = arn:aws:iam::1:role/writer\nsource_profile = default\n", want: `role "arn:aws:iam::1:role/writer" of profile "release" (AWS_PROFILE), by profile "default"`, key: "key-of-AssumeRole"},
		{name: "role that is denied", env: profile + " AWS_ENDPOINT_URL_STS=CLOUD", config: "[profile release]\nrole_arn = arn:aws:iam::1:role/other\nsource_profile = default\n", kind: CredentialRole, says: "AccessDenied"},
		{name: "role by a profile that is not there", env: profile, config: "[profile release]\nrole_arn = arn:aws:iam::1:role/writer\nsource_profile = nobody\n", kind: CredentialProfile, says: "release"},
		{name: "role that wants a code", env: profile, config: "[profile release]\nrole_arn = arn:aws:iam::1:role/writer\nsource_profile = default\nmfa_serial = arn:aws:iam::1:mfa/me\n", kind: CredentialRole, says: "MFA"},
		{name: "web identity", env: "AWS_WEB_IDENTITY_TOKEN_FILE=HOME/token AWS_ROLE_ARN=arn:aws:iam::1:role/writer AWS_ENDPOINT_URL_STS=CLOUD", want: `role "arn:aws:iam::1:role/writer" with the token in`, key: "key-of-AssumeRoleWithWebIdentity"},
		{name: "web identity without token", env: "AWS_WEB_IDENTITY_TOKEN_FILE=HOME/absent AWS_ROLE_ARN=arn:aws:iam::1:role/writer AWS_ENDPOINT_URL_STS=CLOUD", kind: CredentialRole, says: "absent"},
		{name: "container", env: "AWS_CONTAINER_CREDENTIALS_FULL_URI=CLOUD/container", alone: true, want: "the role of the container", key: "key-of-container"},
		{name: "container without role", env: "AWS_CONTAINER_CREDENTIALS_FULL_URI=CLOUD/absent", alone: true, kind: CredentialService, says: "the role of the container"},
		{name: "machine, by version 2 alone", env: "AWS_EC2_METADATA_DISABLED= AWS_EC2_METADATA_SERVICE_ENDPOINT=CLOUD", alone: true, want: "the role of the machine", key: "key-of-machine"},
		{name: "machine, named, without a role", env: profile, alone: true, config: "[profile release]\nrole_arn = arn:aws:iam::1:role/writer\ncredential_source = Ec2InstanceMetadata\n", kind: CredentialRole, says: "credential_source Ec2InstanceMetadata"},
		{name: "mc", alone: true, env: "MINIO_ALIAS=play", want: `mc's alias "play"`, key: "key-of-mc"},
		{name: "mc without the alias", alone: true, env: "MINIO_ALIAS=paly", kind: CredentialAlias, says: `"paly"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := nobody(t)
			if !c.alone {
				writeHome(t, home, ".aws/credentials", other)
			}
			writeHome(t, home, ".aws/config", c.config)
			writeHome(t, home, ".mc/config.json", `{"version":"10","aliases":{"play":{"url":"https://play","accessKey":"key-of-mc","secretKey":"hush","api":"S3v4"}}}`)
			writeHome(t, home, "token", "signed by the cluster")
			env := strings.NewReplacer("CLOUD", cloud(t), "HOME", home).Replace(c.env)
			for _, kv := range strings.Fields(env) {
				name, value, _ := strings.Cut(kv, "=")
				t.Setenv(name, value)
			}
			s := openTest(t, "s3://updates?endpoint=http://127.0.0.1:1", OpenOptions{Retries: 1})
			got, err := s.(Identified).Identity(t.Context())
			if c.kind == "" {
				v, verr := s.(*bucket).creds.GetWithContext(nil)
				if err != nil || verr != nil || !strings.HasPrefix(got, c.want) || v.AccessKeyID != c.key {
					t.Errorf("%q, %v; key %q, %v", got, err, v.AccessKeyID, verr)
				}
				return
			}
			var ce *CredentialError
			if !errors.As(err, &ce) || ce.Kind != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q, %v", got, err)
			}
			// The same where nobody asked: no request goes out, signed or not.
			if _, err := Get(t.Context(), s, "timestamp.json", tuf.MaxTimestamp); !errors.As(err, &ce) {
				t.Errorf("reading: %v", err)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
}

// TestMachineWithoutRole: where nothing was named, requests are not signed, and the
// question is not asked again for each.
func TestMachineWithoutRole(t *testing.T) {
	store := s3test.Start(t).URL("") // before HOME changes: there the server's cache is
	nobody(t)
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		http.Error(w, "", http.StatusNotFound)
	}))
	defer srv.Close()
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", srv.URL)
	s := openTest(t, store, OpenOptions{Retries: 1})
	if who, err := s.(Identified).Identity(t.Context()); !errors.Is(err, ErrNoCredentials) {
		t.Errorf("%q, %v", who, err)
	}
	before := asked
	for range 3 {
		if _, err := Get(t.Context(), s, "timestamp.json", tuf.MaxTimestamp); !errors.Is(err, ErrNoCredentials) {
			t.Errorf("%v", err)
		}
	}
	if before == 0 || asked != before {
		t.Errorf("asked %d times, then %d", before, asked)
	}
}

// TestEndpointsOfAmazon: which host is asked, by region and by the variables of
// Amazon's tools.
func TestEndpointsOfAmazon(t *testing.T) {
	for _, c := range []struct{ url, env, want string }{
		{"s3://updates?region=eu-central-1", "", "updates.s3.dualstack.eu-central-1.amazonaws.com"},
		{"s3://updates?region=cn-north-1", "", "updates.s3.dualstack.cn-north-1.amazonaws.com.cn"},
		{"s3://updates", "AWS_REGION=us-gov-west-1", "updates.s3.dualstack.us-gov-west-1.amazonaws.com"},
		{"s3://updates", "AWS_PROFILE=release", "updates.s3.dualstack.ap-south-1.amazonaws.com"},
		{"s3://updates?region=eu-central-1", "AWS_USE_DUALSTACK_ENDPOINT=false", "updates.s3.eu-central-1.amazonaws.com"},
		{"s3://updates?region=us-east-1", "AWS_USE_FIPS_ENDPOINT=true", "updates.s3-fips.us-east-1.amazonaws.com"},
		{"s3://updates?endpoint=https://store.example.com", "AWS_PROFILE=release", "store.example.com"},
	} {
		home := nobody(t)
		writeHome(t, home, ".aws/config", "[profile release]\nregion = ap-south-1\n")
		if name, value, ok := strings.Cut(c.env, "="); ok {
			t.Setenv(name, value)
		}
		host := ""
		m := &meddle{answer: func(r *http.Request) *http.Response {
			host = r.URL.Host
			return says(http.StatusNotFound, "NoSuchKey", "")
		}}
		_, _ = Get(t.Context(), openTest(t, c.url, OpenOptions{Retries: 1, Wrap: m.wrap}), "timestamp.json", tuf.MaxTimestamp)
		if host != c.want {
			t.Errorf("%s with %q: %q", c.url, c.env, host)
		}
	}
}

// TestBundleOfAmazon: AWS_CA_BUNDLE counts for the store as for Amazon's tools.
func TestBundleOfAmazon(t *testing.T) {
	nobody(t)
	t.Setenv("AWS_CA_BUNDLE", filepath.Join(t.TempDir(), "absent.pem"))
	loc, err := Parse("s3://updates?endpoint=https://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(loc, OpenOptions{}); err == nil || !strings.Contains(err.Error(), "absent.pem") {
		t.Errorf("%v", err)
	}
}
