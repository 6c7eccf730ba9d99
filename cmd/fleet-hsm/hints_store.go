package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/webroot"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/store"
)

// judgeStore judges what stores say.
func judgeStore(err error) (verdict, bool) {
	switch {
	case errors.Is(err, store.ErrBadURL):
		return verdict{exitUsage, "store-url", `for example file:///srv/updates or s3://bucket/prefix?endpoint=https://s3.example.com&region=eu-1`}, true
	case errors.Is(err, store.ErrAhead):
		return verdict{exitRefused, "store-ahead", `somebody published from elsewhere; "fleet-hsm pull" brings it here first`}, true
	case errors.Is(err, store.ErrDiverged):
		return verdict{exitRefused, "store-diverged", `two histories, and agents that have the store's take no other: "fleet-hsm pull --targets --path NEW --root repository/1.root.json" brings it into a new folder. Put keys/ and the configuration there, make this folder's change again and publish from it. Is the URL the right one?`}, true
	case errors.Is(err, store.ErrStaleTimestamp):
		return verdict{exitRefused, "stale-timestamp", `"fleet-hsm timestamp" signs one above the store's, whose version is remembered now; then publish again`}, true
	case errors.Is(err, store.ErrUncovered):
		return verdict{exitRefused, "uncovered", `"fleet-hsm timestamp" signs one here; "fleet-hsm publish --without-timestamp" leaves it to the online signer`}, true
	case errors.Is(err, store.ErrRollback):
		return verdict{exitRefused, "rollback", `the store is older than what is here, and pull never goes back; "fleet-hsm publish" brings the store up to date, if it is the right one`}, true
	case errors.Is(err, store.ErrContentMissing):
		return verdict{exitRefused, "content-missing", `"fleet-hsm pull --targets" brings what the store has`}, true
	case errors.Is(err, store.ErrLayout):
		return verdict{exitRefused, "flat-layout", `only with consistent snapshots: "fleet-hsm migrate" changes the layout, agents following`}, true
	case errors.Is(err, store.ErrInconsistent), errors.Is(err, store.ErrReadBack):
		return verdict{exitUnverified, "store-inconsistent", `"fleet-hsm publish" from a folder that has all of it goes on where it stopped, and puts back what is damaged. If it stays so, "fleet-hsm doctor --store URL" tries the store`}, true
	case as[*webroot.LinkError](err):
		return verdict{exitRefused, "path-taken", "nothing was written through it; put a folder or file of its own there and run the command again"}, true
	case errors.Is(err, store.ErrPrecondition):
		return verdict{exitRefused, "other-writer", "another machine published at the same time; " + again(err)}, true
	case errors.Is(err, store.ErrTooLarge), errors.Is(err, store.ErrBadName):
		return verdict{exitRefused, "store-file", "what is there is not a repository of this tool; check the bucket and prefix of the URL"}, true
	}
	if v, ok := judgeAccess(err); ok {
		return v, true
	}
	var trouble *remote.StoreError
	var network *url.Error
	switch errors.As(err, &trouble); {
	case errors.As(err, &network):
		return verdict{exitRefused, "store-unreachable", "check the endpoint in the URL, the network and --ca-file; then " + again(err)}, true
	case trouble != nil && trouble.Begun:
		return verdict{exitRefused, "store", "run publish again; it goes on where it stopped"}, true
	case as[*store.OpError](err):
		return verdict{exitRefused, "store", "the store did not answer as it should; " + again(err)}, true
	}
	return verdict{}, false
}

// judgeAccess judges why a store lets nobody in.
func judgeAccess(err error) (verdict, bool) {
	if ce := (*store.CredentialError)(nil); errors.As(err, &ce) {
		return verdict{exitSecret, "credential-source", hintCredentials(ce)}, true
	}
	switch {
	case as[*store.GatewayError](err):
		return verdict{exitRefused, "store-gateway", "log in to the proxy or pass it by (NO_PROXY), or name the store's own endpoint with endpoint= in the URL"}, true
	case as[*store.ConditionError](err):
		return verdict{exitRefused, "store-condition", hintPassETags}, true
	}
	switch {
	case errors.Is(err, store.ErrNoStore):
		return verdict{exitRefused, "no-store", "make the bucket or folder first, and check its name"}, true
	case errors.Is(err, store.ErrNoCredentials):
		return verdict{exitSecret, "no-credentials", "give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in the AWS credentials file, or by the instance's role"}, true
	case errors.Is(err, store.ErrCredentials):
		return verdict{exitSecret, "bad-credentials", "wrong or expired: look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or at the AWS credentials file"}, true
	case errors.Is(err, store.ErrClock):
		return verdict{exitRefused, "clock", "set this machine's clock"}, true
	case errors.Is(err, store.ErrRegion):
		return verdict{exitRefused, "store-region", "name the bucket's region with region= in the URL, or in AWS_REGION"}, true
	case errors.Is(err, store.ErrUnsupported):
		return verdict{exitRefused, "store-unsupported", `"fleet-hsm doctor --store URL" says what it lacks; without conditional writes one machine at a time may write there (docs/online.md)`}, true
	case errors.Is(err, fs.ErrPermission) && as[*store.OpError](err):
		return verdict{exitRefused, "store-forbidden", "the credentials need to get, put and list below the prefix; without list, a store says the same of a file that is absent"}, true
	}
	return verdict{}, false
}

// hintPassETags is for what a proxy does to conditional writes.
const hintPassETags = "let ETag, If-Match and If-None-Match pass unchanged in whatever stands before the store, or name the store's own endpoint with endpoint= in the URL"

// hintFinding says what helps against what a probe of a store found.
func hintFinding(f store.Finding) string {
	denied := errors.Is(f.Err, fs.ErrPermission)
	switch {
	case f.Setting != "":
		return fmt.Sprintf(`the bucket takes it with %s: add "&%s" to its URL`, f.Setting, f.Setting)
	case f.Code == "write" && denied:
		return "the credentials need to put and get below the prefix; a policy may also demand a key: sse=aws:kms:KEYID in the URL"
	case f.Code == "delete" && denied:
		return `only "publish --prune" deletes; a retention rule or a missing right forbids it, and the probe's own file stays`
	case (f.Code == "if-match" || f.Code == "one-winner" || f.Code == "read-after-write") && denied:
		return "files can be made and not replaced: turn versioning on in the bucket, or take timestamp.json and the other *.json without a number out of its retention rule"
	case f.Code == "list" && denied:
		return "the credentials need to list the prefix"
	case ignoresConditions(f):
		return "if a proxy stands before the store, " + hintPassETags + "; else run exactly one signer on this store, and publish only while it rests (docs/online.md)"
	}
	return judge(f.Err).hint
}

func ignoresConditions(f store.Finding) bool {
	return errors.Is(f.Err, store.ErrUnsupported) && (f.Code == "if-none-match" || f.Code == "if-match" || f.Code == "one-winner")
}

// hintCredentials says how a source of credentials that was named becomes readable.
func hintCredentials(e *store.CredentialError) string {
	profile := ""
	if e.Profile != "" {
		profile = fmt.Sprintf(" --profile %q", e.Profile)
	}
	switch e.Kind {
	case store.CredentialKeys:
		return "set both, or neither"
	case store.CredentialSSO:
		return fmt.Sprintf(`log in with "aws sso login%s" (or "aws login"), then run it again`, strings.ReplaceAll(profile, `"`, ""))
	case store.CredentialProcess:
		return "run the profile's credential_process by hand: it must end with 0 and print its JSON on stdout"
	case store.CredentialRole:
		return "the role's trust policy must allow the identity that asks for it, and the token file must be there; where a code is wanted, export a session's keys to the environment"
	case store.CredentialService:
		return "the container's or machine's role must be given to it by the cloud; AWS_CONTAINER_CREDENTIALS_* say where it is asked for"
	case store.CredentialAlias:
		return `"mc alias list" shows the aliases; unset MINIO_ALIAS to use another source`
	}
	return `is AWS_PROFILE spelled right? "aws configure list-profiles" shows the profiles; nothing else was tried in its place`
}
