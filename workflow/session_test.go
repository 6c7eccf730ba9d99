package workflow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/misuse"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/diff"
	"github.com/fleet-hsm/fleet-hsm/repo/edit"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/signer/file"
	"github.com/fleet-hsm/fleet-hsm/signer/signertest"
)

// someone is a person in a test; said is all that they heard, in order.
type someone struct {
	terminal bool
	confirm  func(question string) error
	said     []string
}

func (*someone) Secret(context.Context, signer.SecretRequest) (signer.Secret, error) {
	return signer.NewSecret([]byte("passphrase")), nil
}
func (*someone) Touch(context.Context, signer.TouchRequest) func()  { return func() {} }
func (*someone) Insert(context.Context, signer.InsertRequest) error { return signer.ErrNoTerminal }
func (*someone) InsertAny(context.Context, []signer.URI, string) (bool, error) {
	return false, signer.ErrNoTerminal
}
func (*someone) OnceMore(context.Context, signer.URI) bool { return false }
func (*someone) Named(at signer.URI) string                { return at.String() }
func (*someone) Asks(signer.SecretRequest) bool            { return false }
func (p *someone) HasTerminal() bool                       { return p.terminal }

func (p *someone) Confirm(_ context.Context, question string) error {
	p.said = append(p.said, "ask: "+question)
	if p.confirm == nil {
		return nil
	}
	return p.confirm(question)
}

func (p *someone) Note(format string, args ...any) {
	p.said = append(p.said, fmt.Sprintf(format, args...))
}
func (p *someone) Warn(format string, args ...any) {
	p.said = append(p.said, "warning: "+fmt.Sprintf(format, args...))
}
func (p *someone) CanReview() error   { return nil }
func (p *someone) Keep(string)        {}
func (p *someone) Review(diff.Review) { p.said = append(p.said, "review") }
func (*someone) Quote(s string) string {
	return fmt.Sprintf("%q", s)
}
func (*someone) Name(s string) string         { return s }
func (*someone) Path(s string) string         { return s }
func (p *someone) StaysStaged(next string)    { p.Note("stays staged: %s", next) }
func (p *someone) StagedUnsigned(d *meta.Doc) { p.Note("unsigned: %s", d.Role()) }
func (p *someone) Leftovers(files []string) {
	for _, f := range files {
		p.Warn("left: %s", f)
	}
}
func (*someone) Progress(string) Progress { return prog{} }

type prog struct{}

func (prog) Draw(int64, int64) {}
func (prog) End()              {}

func (*someone) PINSources(signer.SecretRequest) ([]string, error) { return nil, nil }
func (*someone) OwnSources(signer.URI) ([]string, error)           { return nil, nil }
func (*someone) EnvPassphrase(string) bool                         { return false }

// command is a session of a command in a folder.
func command(t *testing.T, dir, name, text string, who *someone) *Session {
	t.Helper()
	kinds := signer.Kinds{file.KindWith(signertest.CheapEncryption{}), signer.PublicPart()}
	cfg, err := config.Parse([]byte(text), kinds)
	if err != nil {
		t.Fatal(err)
	}
	cfg.File = filepath.Join(dir, "fleet-hsm.yaml")
	log := &Transcript{
		File: func() (string, error) { return filepath.Join(dir, "log"), nil },
		Note: func() string { return "" }, Person: func() string { return "somebody" }, Warn: who.Warn,
	}
	ring, err := keyring.New(keyring.Options{Kinds: kinds, Folder: dir, Config: cfg, Sources: who, Note: who.Note, Warn: who.Warn,
		Signed: func(d *meta.Doc, key meta.Key, at signer.URI, sig []byte) error {
			return log.Signature(d, key, at, sig, "")
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ring.Close() })
	return New(Options{Command: name, Folder: dir, Repo: repo.Open(dir, repo.Options{Now: time.Now}), Keys: ring, Config: cfg,
		Person: who, Talk: who, Log: log, LockTimeout: 10 * time.Millisecond})
}

// begun is a session with the lock, over what is published.
func begun(t *testing.T, dir, name, text string, who *someone) *Session {
	t.Helper()
	w := command(t, dir, name, text, who)
	if err := w.Begin(t.Context(), false, false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.End)
	if err := w.LoadToChange(); err != nil {
		t.Fatal(err)
	}
	return w
}

// published is a folder with a repository in it.
func published(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	who := &someone{}
	w := command(t, dir, "init", "", who)
	if err := w.Begin(t.Context(), true, false); err != nil {
		t.Fatal(err)
	}
	defer w.End()
	plan, thresholds := map[string][]signer.URI{}, map[string]int{}
	for _, role := range meta.Roles() {
		plan[role], thresholds[role] = nil, 1
	}
	keys, err := w.Maker.Keys(t.Context(), who, plan, keyring.MakeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.Repo.Init(repo.InitOptions{Keys: keys, Thresholds: thresholds, Consistent: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Publish(t.Context(), c, PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func renewal(t *testing.T, w *Session) *repo.Change {
	t.Helper()
	c, err := edit.Renew(w.Repo, w.Published, w.Staged, meta.RoleRoot, w.StageOptions(true))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The order is the same for all: review, question, signatures, publication; each is in the
// transcript.
func TestOrder(t *testing.T) {
	t.Parallel()
	dir := published(t)
	who := &someone{terminal: true}
	w := begun(t, dir, "rotate", "", who)
	if _, err := w.Publish(t.Context(), renewal(t, w), PublishOptions{AllowShorter: true}); err != nil {
		t.Fatal(err)
	}
	if heard := strings.Join(who.said, "\n"); !strings.HasPrefix(heard, "review\nask: Sign this?\n") || !strings.Contains(heard, "published: root v2") {
		t.Errorf("heard:\n%s", heard)
	}
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	at := -1
	_, log2, _ := strings.Cut(string(log), `"command":"rotate"`)
	for _, event := range []string{`"card"`, `"signature"`, `"commit"`} {
		i := strings.Index(log2, event)
		if i <= at {
			t.Errorf("%s is not where it belongs in the log:\n%s", event, log2)
		}
		at = i
	}
}

// While somebody is asked, others have the lock; what they publish meanwhile ends the
// command, and a no leaves nothing behind.
func TestWhileSomebodyIsAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile func(t *testing.T, dir string) error
		want      func(error) bool
		staged    bool
	}{
		"yes": {func(*testing.T, string) error { return nil }, func(err error) bool { return err == nil }, false},
		"no": {func(*testing.T, string) error { return signer.ErrNotConfirmed },
			func(err error) bool { return errors.Is(err, signer.ErrNotConfirmed) }, false},
		"something wrong was given": {func(*testing.T, string) error { return misuse.Errorf("x") },
			func(err error) bool { return errors.As(err, new(*misuse.Error)) }, false},
		"no source for a secret": {func(*testing.T, string) error { return &signer.NoSecretError{Err: signer.ErrNoTerminal} },
			func(err error) bool { return errors.Is(err, signer.ErrNoSecret) && errors.As(err, new(*StagedError)) }, true},
		"a device fails": {func(*testing.T, string) error { return signer.ErrDevice },
			func(err error) bool { return errors.Is(err, signer.ErrDevice) && errors.As(err, new(*StagedError)) }, true},
		"the change is dropped": {func(t *testing.T, dir string) error { return repo.Open(dir, repo.Options{}).Discard() },
			func(err error) bool {
				var refused *meta.RefusedError
				return errors.As(err, &refused) && refused.Kind == meta.PublishedMoved
			}, false},
	} {
		dir := published(t)
		who := &someone{terminal: true}
		free := false
		who.confirm = func(string) error {
			other := command(t, dir, "timestamp", "", &someone{})
			free = other.Begin(context.Background(), false, true) == nil
			defer other.End()
			return c.meanwhile(t, dir)
		}
		w := begun(t, dir, "rotate", "", who)
		_, err := w.Publish(t.Context(), renewal(t, w), PublishOptions{AllowShorter: true})
		if !free {
			t.Errorf("%s: the lock was held while a person was asked", name)
		}
		if !c.want(err) {
			t.Errorf("%s: %v", name, err)
		}
		w.End()
		_, serr := w.Repo.Staged(w.Published)
		if errors.Is(serr, repo.ErrNothingStaged) == c.staged && err != nil {
			t.Errorf("%s: staged afterwards: %v", name, serr)
		}
	}
}

// What another command staged needs somebody who says that they have looked at it.
func TestJoin(t *testing.T) {
	t.Parallel()
	dir := published(t)
	w := begun(t, dir, "rotate", "", &someone{})
	if err := w.StageOnly(renewal(t, w)); err != nil {
		t.Fatal(err)
	}
	w.End()
	w = begun(t, dir, "add", "", &someone{})
	hash := w.Staged.Doc(meta.RoleRoot).Hash()
	for name, c := range map[string]struct {
		reviewed []string
		want     func(error) bool
	}{
		"nobody looked":  {nil, func(err error) bool { return errors.As(err, new(*NotReviewed)) }},
		"at something":   {[]string{strings.Repeat("0", 16)}, func(err error) bool { return errors.As(err, new(*ReviewedMismatch)) }},
		"no hash":        {[]string{"xyz"}, func(err error) bool { return errors.As(err, new(*misuse.Error)) }},
		"at this":        {[]string{hash[:8]}, func(err error) bool { return err == nil }},
		"as it is shown": {[]string{hash[:8] + " " + hash[8:16]}, func(err error) bool { return err == nil }},
		"fewer than 8":   {[]string{hash[:7]}, func(err error) bool { return errors.As(err, new(*misuse.Error)) }},
	} {
		if err := w.Join(c.reviewed, false, false); !c.want(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.Join(nil, true, false); err != nil {
		t.Errorf("to stage more: %v", err)
	}
}

// The policy of this machine forbids before anybody is asked, and names its line.
func TestPolicy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"policy: {root: {min-threshold: 2}}":           "root would have threshold 1",
		"policy: {root: {max-expiry: 1d}}":             "would be valid for",
		"policy:\n  targets: {min-threshold: 2}":       "line 2",
		"policy: {timestamp: {min-threshold: 2}}":      "timestamp would have threshold 1",
		"policy: {root: {min-threshold: 1}}":           "",
		"policy: {root: {keys: attested}}":             "", // no key gains the role
		"policy: {targets: {names: [\"nothing/**\"]}}": "",
	} {
		dir := published(t)
		who := &someone{terminal: true}
		w := begun(t, dir, "rotate", text, who)
		_, err := w.Publish(t.Context(), renewal(t, w), PublishOptions{AllowShorter: true})
		var forbidden *PolicyError
		if (err != nil) != (want != "") || errors.As(err, &forbidden) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if heard := strings.Join(who.said, "\n"); want != "" && strings.Contains(heard, "ask:") {
			t.Errorf("%s: somebody was asked", text)
		}
	}
}
