//go:build linux

package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/installer"
	"github.com/fleet-hsm/fleet-hsm/internal/buildtime"
	"github.com/fleet-hsm/fleet-hsm/internal/listen"
	"github.com/fleet-hsm/fleet-hsm/internal/schema"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/lint"
	"github.com/fleet-hsm/fleet-hsm/online"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/file"
	"github.com/fleet-hsm/fleet-hsm/signer/kms"
	"github.com/fleet-hsm/fleet-hsm/signer/pkcs11"
	"github.com/fleet-hsm/fleet-hsm/store"
	"github.com/fleet-hsm/fleet-hsm/verify"
	"github.com/fleet-hsm/fleet-hsm/watch"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// theirErrors is one error of every type and value that the libraries export, by name.
func theirErrors() map[string]error {
	return map[string]error{
		"repo.ErrNoRepository": repo.ErrNoRepository, "repo.ErrExists": repo.ErrExists, "repo.ErrNothingStaged": repo.ErrNothingStaged,
		"meta.ErrMetadata": meta.ErrMetadata, "meta.ErrExpired": meta.ErrExpired, "meta.ErrName": meta.ErrName, "repo.ErrContent": repo.ErrContent,
		"meta.ErrRefused": &edit.MissingError{}, "repo.ErrLocked": repo.ErrLocked, "meta.ErrKey": meta.ErrKey, "meta.ErrShort": meta.ErrShort,
		"schema.NewerError": &schema.NewerError{},
		"meta.FileError":    &meta.FileError{}, "meta.ExpiredError": &meta.ExpiredError{Role: meta.RoleRoot}, "meta.NameError": &meta.NameError{},
		"repo.ContentError": &repo.ContentError{}, "meta.RefusedError": &meta.RefusedError{Kind: meta.NoChange}, "meta.ShortError": &meta.ShortError{},
		"meta.SignatureError": &meta.SignatureError{Err: errors.New("x")}, "repo.InterruptedError": &repo.InterruptedError{}, "repo.LockedError": &repo.LockedError{},
		"edit.MissingError": &edit.MissingError{}, "repo.FaultyError": &repo.FaultyError{Faults: []repo.Fault{{}}},

		"signer.ErrNoToken": signer.ErrNoToken, "signer.ErrUnreachable": signer.ErrUnreachable, "signer.ErrAmbiguous": signer.ErrAmbiguous,
		"signer.ErrKeyNotFound": signer.ErrKeyNotFound, "signer.ErrKeyChanged": signer.ErrKeyChanged, "signer.ErrKeyExists": signer.ErrKeyExists,
		"signer.ErrPINIncorrect": signer.ErrPINIncorrect, "signer.ErrPINLocked": signer.ErrPINLocked, "signer.ErrPINInvalid": signer.ErrPINInvalid,
		"signer.ErrPINNotSet": signer.ErrPINNotSet, "signer.ErrLastTry": signer.ErrLastTry, "signer.ErrPassphrase": signer.ErrPassphrase,
		"signer.ErrNoSecret": signer.ErrNoSecret, "signer.ErrNoTerminal": signer.ErrNoTerminal, "signer.ErrTouchTimeout": signer.ErrTouchTimeout,
		"signer.ErrBusy": signer.ErrBusy, "signer.ErrDevice": signer.ErrDevice, "signer.ErrDeadline": signer.ErrDeadline,
		"signer.ErrUnsupported": signer.ErrUnsupported, "signer.ErrAttestation": signer.ErrAttestation, "signer.ErrBadSignature": signer.ErrBadSignature,
		"signer.ErrCanceled": signer.ErrCanceled, "signer.ErrFileMode": signer.ErrFileMode, "signer.ErrNotSetUp": signer.ErrNotSetUp,
		"signer.ErrDenied": signer.ErrDenied, "signer.ErrPINTooSimple": signer.ErrPINTooSimple, "signer.ErrManagement": signer.ErrManagement,
		"signer.PartialError":    &signer.PartialError{Err: signer.ErrDevice},
		"signer.ErrNotStarted":   &pkcs11.ModuleError{Code: "module-init"},
		"signer.ErrNotNamed":     &pkcs11.ModuleError{Code: "module-none"},
		"signer.ErrAlreadySetUp": signer.ErrAlreadySetUp, "signer.ErrConfig": signer.ErrConfig,
		"signer.KeyError": &signer.KeyError{Err: signer.ErrNoToken}, "signer.PINError": &signer.PINError{Left: 2}, "signer.KeyChangedError": &signer.KeyChangedError{},
		"signer.AmbiguousError": &signer.AmbiguousError{}, "signer.NotFoundError": &signer.NotFoundError{Cause: signer.ErrKeyNotFound},
		"signer.NoSecretError": &signer.NoSecretError{}, "signer.UnsupportedError": &signer.UnsupportedError{}, "signer.FileModeError": &signer.FileModeError{},
		"signer.GenerateError": &signer.GenerateError{Algorithm: signer.P256},
		"signer.URIError":      &signer.URIError{},
		"file.ErrNotEncrypted": file.ErrNotEncrypted, "file.FormatError": &file.FormatError{},
		"pkcs11.DeadlineError": &pkcs11.DeadlineError{}, "pkcs11.ModuleError": &pkcs11.ModuleError{}, "pkcs11.CKRError": &pkcs11.CKRError{Code: 0x30},

		"signer.ErrMaybeAbsent": signer.ErrMaybeAbsent, "kms.ProgramError": &kms.ProgramError{}, "kms.DeadlineError": &kms.DeadlineError{},
		"kms.AnswerError": &kms.AnswerError{}, "kms.RefusedError": &kms.RefusedError{}, "kms.SignatureError": &kms.SignatureError{},

		"watch.FoundError": &watch.FoundError{Findings: []watch.Finding{{Kind: watch.WentBack}}}, "watch.StateError": &watch.StateError{Err: errors.New("x")},
		"watch.ErrOtherRepository": &watch.StateError{Err: watch.ErrOtherRepository}, "listen.ErrAddress": listen.ErrAddress, "listen.Error": &listen.Error{Err: errors.New("x")}, "workflow.LintError": &workflow.LintError{Findings: []lint.Finding{{Code: lint.CodeEmpty}}},
		"workflow.RequestError":  &workflow.RequestError{File: "f", Err: ceremony.ErrRequest},
		"ceremony.ErrTranscript": ceremony.ErrTranscript, "ceremony.ErrRequest": &workflow.RequestError{File: "f", Err: ceremony.ErrRequest},
		"ceremony.TranscriptError": &ceremony.TranscriptError{}, "ceremony.Error": &workflow.RequestError{File: "f", Err: &ceremony.Error{}},
		"keyring.ErrNotDestroyed": keyring.ErrNotDestroyed, "keyring.DestroysError": &keyring.DestroysError{},
		"remote.StoreError": &remote.StoreError{Err: store.ErrNoStore}, "remote.RejectedError": &remote.RejectedError{Err: errors.New("x")},
		"remote.UnverifiedError": &remote.UnverifiedError{Report: &verify.Report{}},

		"store.ErrNoStore": store.ErrNoStore, "store.ErrPrecondition": store.ErrPrecondition, "store.ErrTooLarge": store.ErrTooLarge,
		"store.ErrNoCredentials": store.ErrNoCredentials, "store.ErrUnsupported": store.ErrUnsupported, "store.ErrBadURL": store.ErrBadURL,
		"store.ErrBadName": store.ErrBadName, "store.ErrAhead": store.ErrAhead, "store.ErrDiverged": store.ErrDiverged,
		"store.ErrStaleTimestamp": store.ErrStaleTimestamp, "store.ErrUncovered": store.ErrUncovered, "store.ErrInconsistent": store.ErrInconsistent,
		"store.ErrContentMissing": store.ErrContentMissing, "store.ErrLayout": store.ErrLayout, "store.ErrReadBack": store.ErrReadBack,
		"store.ErrRollback": store.ErrRollback, "store.ErrCredentials": store.ErrCredentials, "store.ErrRegion": store.ErrRegion, "store.ErrClock": store.ErrClock,
		"store.OpError": &store.OpError{Err: store.ErrNoStore}, "store.URLError": &store.URLError{}, "store.AheadError": &store.AheadError{},
		"store.DivergedError": &store.DivergedError{}, "store.StaleTimestampError": &store.StaleTimestampError{}, "store.MismatchError": &store.MismatchError{},
		"store.ContentMissingError": &store.ContentMissingError{}, "store.RollbackError": &store.RollbackError{},
		"store.CredentialError": &store.CredentialError{Kind: store.CredentialProfile, Err: errors.New("x")},
		"store.GatewayError":    &store.GatewayError{}, "store.ConditionError": &store.ConditionError{},

		"online.ErrDiverged": online.ErrDiverged, "online.ErrLapsed": online.ErrLapsed, "online.ErrState": online.ErrState, "online.ErrOtherRepository": online.ErrOtherRepository,
		"tuf.VersionError": &tuf.VersionError{}, "tuf.TypeError": &meta.FileError{Err: &tuf.TypeError{}}, "tuf.MismatchError": &meta.FileError{Err: &tuf.MismatchError{}}, "tuf.KeyError": &meta.FileError{Err: &tuf.KeyError{}}, "tuf.KeyIDError": &meta.FileError{Err: &tuf.KeyIDError{}}, "online.DivergedError": &online.DivergedError{}, "online.LapsedError": &online.LapsedError{}, "online.StateError": &online.StateError{},
		"online.ErrExpired": online.ErrExpired, "online.ErrUnverified": online.ErrUnverified, "online.ErrRollback": online.ErrRollback,
		"online.ErrClock": online.ErrClock, "online.ErrShorter": online.ErrShorter, "online.ErrNoKey": online.ErrNoKey, "online.ErrStore": online.ErrStore,
		"online.ErrConfig":    online.ErrConfig,
		"online.ErrSign":      fmt.Errorf("%w: %w", online.ErrSign, signer.ErrNoToken),
		"online.ExpiredError": &online.ExpiredError{}, "online.UnverifiedError": &online.UnverifiedError{}, "online.RollbackError": &online.RollbackError{},
		"online.ClockError": &online.ClockError{}, "online.ShorterError": &online.ShorterError{}, "online.SignError": &online.SignError{Err: signer.ErrNoToken},
		"online.StoreError": &online.StoreError{Err: errors.New("x")},

		"workflow.StagedError": &workflow.StagedError{Err: signer.ErrTouchTimeout, Next: "sign"}, "workflow.PolicyError": &workflow.PolicyError{}, "workflow.NotReviewed": &workflow.NotReviewed{},
		"workflow.ReviewedMismatch": &workflow.ReviewedMismatch{}, "workflow.Unreviewed": usage(&workflow.Unreviewed{}),
		"keyring.CallError": &keyring.CallError{Err: signer.ErrConfig}, "workflow.HandBack": &workflow.HandBack{Short: &keyring.ShortError{}},
		"keyring.ShortError": &keyring.ShortError{}, "keyring.AbsentError": &keyring.AbsentError{Short: &keyring.ShortError{}, Device: signer.ErrNoToken}, "keyring.ImportedError": &keyring.ImportedError{},
		"signer.ErrNotConfirmed": signer.ErrNotConfirmed, "prompt.SourceError": &signer.NoSecretError{Err: &prompt.SourceError{}},
		"prompt.CommandError": &signer.NoSecretError{Err: &prompt.CommandError{}},
		"prompt.NarrowError":  &prompt.NarrowError{},
		"config.Error":        &config.Error{}, "config.FolderError": usage(&config.FolderError{Path: "p", Err: errors.New("x")}), "config.ManifestError": usage(&config.ManifestError{}), "misuse.Error": usagef("x"),

		"installer.Error": &installer.Error{Kind: installer.NoTarget}, "verify.TargetError": &verify.TargetError{},
		"verify.ErrUnreachable": verify.ErrUnreachable, "verify.ErrNoRoot": usage(verify.ErrNoRoot),
	}
}

// exportedErrors reads the names of the libraries' errors from their source: variables
// ErrX, and types with an Error method.
func exportedErrors(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, dir := range []string{"repo", "repo/meta", "repo/edit", "signer", "signer/file", "signer/pkcs11", "signer/piv", "signer/kms", "ceremony", "store", "online", "verify", "installer", "lint", "config", "prompt", "keyring", "workflow", "remote", "doctor", "status", "review", "watch", "page", "internal/misuse", "internal/tuf", "internal/listen", "internal/schema"} {
		files, err := filepath.Glob(filepath.Join("..", "..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no source (%v)", dir, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range errorsOf(f) {
				if qualified := filepath.Base(dir) + "." + n; ast.IsExported(n) && !slices.Contains(names, qualified) {
					names = append(names, qualified)
				}
			}
		}
	}
	return names
}

func errorsOf(f *ast.File) []string {
	var names []string
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if v, ok := s.(*ast.ValueSpec); ok && d.Tok == token.VAR {
					for _, id := range v.Names {
						if strings.HasPrefix(id.Name, "Err") {
							names = append(names, id.Name)
						}
					}
				}
			}
		case *ast.FuncDecl:
			if d.Recv == nil || d.Name.Name != "Error" {
				continue
			}
			on := d.Recv.List[0].Type
			if star, ok := on.(*ast.StarExpr); ok {
				on = star.X
			}
			if id, ok := on.(*ast.Ident); ok {
				names = append(names, id.Name)
			}
		}
	}
	return names
}

// TestEveryErrorHasAHint: whatever the libraries can say, a person is told its kind
// and what to do.
func TestEveryErrorHasAHint(t *testing.T) {
	t.Parallel()
	theirs := theirErrors()
	names := exportedErrors(t)
	if len(names) < 80 {
		t.Fatalf("only %d errors were found in the source", len(names))
	}
	for _, n := range names {
		if theirs[n] == nil {
			t.Errorf("%s is exported, and this test has no example of it", n)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(theirs)) {
		if !slices.Contains(names, n) {
			t.Errorf("%s is no error of the libraries (any more)", n)
		}
		if v := judge(theirs[n]); v.kind == "failed" || v.kind == "" || v.hint == "" {
			t.Errorf("%s: kind %q, hint %q", n, v.kind, v.hint)
		}
	}
	for _, err := range []error{
		&expiresSoon{}, &workflow.PolicyError{},
		&workflow.ReviewedMismatch{}, &keyring.ImportedError{}, &attestationError{}, &problemsError{}, usage(&workflow.Unreviewed{}), &config.Error{}, errNotReset, signer.ErrNotConfirmed,
		usagef("x"), &buildtime.ClockError{},
	} {
		if v := judge(err); v.kind == "failed" || v.hint == "" {
			t.Errorf("%T: kind %q, hint %q", err, v.kind, v.hint)
		}
	}
}

// TestEveryRefusalHasAHint walks the kinds of refusal.
func TestEveryRefusalHasAHint(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", "repo", "meta", "errors.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	kinds := 0
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); ok && id.Name == "RefusedKind" {
			kinds++
			kind := strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)
			if hintRefused(meta.RefusedKind(kind)) == "" {
				t.Errorf("refusal %q has no hint", kind)
			}
		}
		return true
	})
	if kinds < 15 {
		t.Errorf("only %d kinds were found", kinds)
	}
}

// TestExpiredHints: each role's hint is the command that helps.
func TestExpiredHints(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]string{
		meta.RoleRoot: "fleet-hsm rotate root --renew", meta.RoleTargets: "fleet-hsm rotate targets --renew",
		meta.RoleSnapshot: "fleet-hsm rotate targets --renew", meta.RoleTimestamp: "fleet-hsm timestamp",
	} {
		if v := judge(&meta.ExpiredError{Role: role}); v.code != exitUnverified || !strings.Contains(v.hint, want) {
			t.Errorf("%s: exit %d, hint %q", role, v.code, v.hint)
		}
	}
}

// TestHintsOfStaged: after an error that leaves a change staged no hint says that nothing
// was changed, or leads to the command that would stage a second one.
func TestHintsOfStaged(t *testing.T) {
	t.Parallel()
	for name, err := range theirErrors() {
		hint := judge(&workflow.StagedError{Err: err, Next: "sign"}).hint
		for _, wrong := range []string{"nothing was changed", "nothing was written", "run the command again", "run it again"} {
			if strings.Contains(strings.ToLower(hint), wrong) {
				t.Errorf("%s: a change is staged, and the hint says %q", name, hint)
			}
		}
	}
}
