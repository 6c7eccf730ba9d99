package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// Options say what [Run] looks at, and how hard.
type Options struct {
	// Source is a folder or an http(s) URL.
	Source string
	// Files, if set, is read instead, and Source is only its name. It demands a Root.
	Files Files
	// Root is the pinned root, as a client has it. It may be empty for a folder: then
	// the oldest N.root.json there is trusted (see [OldestRoot]). A URL demands it.
	Root []byte
	// FromEveryRoot lets go-tuf v2's client begin at every root that exists, not
	// only at the pinned one.
	FromEveryRoot bool
	// At is the moment at which expiry is judged; zero means now.
	At time.Time
	// AllTargets reads and hashes every target; otherwise only presence and length
	// are checked.
	AllTargets bool
	// MetadataOnly looks at no target at all.
	MetadataOnly bool
	// Workers is how many targets are read at once; 0 means one per processor.
	Workers int
	// Progress, if set, is told every 200 ms how far hashing is, and once at the
	// end. It is never called from two goroutines at once.
	Progress func(Progress)
	// CAFile holds the PEM certificates that a server is checked against, instead of
	// the system's.
	CAFile string
	// Insecure takes whatever certificate a server shows, as an agent does that was
	// packaged with --insecure: the pinned root is all that is trusted then.
	Insecure bool
	// CertFile and KeyFile are a TLS client certificate, in PEM.
	CertFile, KeyFile string

	kept source // that stays open after a run; see Open
}

// Progress of reading targets, in files and bytes.
type Progress struct {
	Files, TotalFiles int
	Bytes, TotalBytes int64
}

// ErrNoRoot: a URL was given without a root to trust.
var ErrNoRoot = errors.New("no trusted root")

// Run looks at a repository as a client does and reports everything that is wrong.
// What is wrong with the repository is a [Finding]; an error means that there was
// nothing to look at: a folder that is not there, a server that does not answer
// ([ErrUnreachable]), a URL without a root ([ErrNoRoot]), or ctx ended.
func Run(ctx context.Context, o Options) (*Report, error) {
	src, err := openSource(ctx, &o)
	if err != nil {
		return nil, err
	}
	defer src.close()
	w := newWalk(ctx, o, src)
	w.run()
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	w.report.sort()
	w.report.Answers = w.answers()
	return w.report, nil
}

// openSource makes sure that there is something to look at.
func openSource(ctx context.Context, o *Options) (source, error) {
	if o.kept == nil && (o.Files != nil || isURL(o.Source)) {
		p, err := Open(*o)
		if err != nil {
			return nil, err
		}
		return reach(ctx, o, p.o.kept)
	}
	if o.kept != nil {
		return reach(ctx, o, lasting{o.kept})
	}
	dir, err := webRoot(o.Source)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if len(o.Root) == 0 {
		if _, o.Root, err = OldestRoot(dir); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
	}
	f, err := openFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return newCache(f), nil
}

// lasting is a source that is used again after a run.
type lasting struct{ source }

func (lasting) close() {}

// reach makes sure that a server answers. An answer of any kind is the walk's business; no
// answer at all is not.
func reach(ctx context.Context, o *Options, server source) (source, error) {
	if len(o.Root) == 0 {
		return nil, fmt.Errorf("%w: what %q serves cannot vouch for itself", ErrNoRoot, o.Source)
	}
	src := newCache(server)
	_, err := src.fetch(ctx, "timestamp.json")
	var answered *statusError
	if err == nil || errors.Is(err, errMissing) || errors.Is(err, errTooLarge) || errors.As(err, &answered) {
		return src, nil
	}
	return nil, fmt.Errorf("%w: %q: %w", ErrUnreachable, o.Source, err)
}

// walk is one run.
type walk struct {
	ctx    context.Context
	o      Options
	src    source
	report *Report
	told   map[Finding]bool

	chain     []*document // roots that could be decoded, ascending
	rings     map[int64]keyring
	pinned    *document
	trusted   *document // the last root that an agent reaches, or the best there is
	timestamp *document
	snapshot  *document
	modified  map[string]time.Time
	payloads  map[string]string // SHA-256 of what signatures cover, by file
	local     bool              // a folder
}

func newWalk(ctx context.Context, o Options, src source) *walk {
	if o.At.IsZero() {
		o.At = time.Now()
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	_, local := src.roots()
	return &walk{
		ctx: ctx, o: o, src: src, local: local,
		report:   &Report{Source: o.Source, At: o.At.UTC(), Documents: map[string][]byte{}},
		told:     map[Finding]bool{},
		rings:    map[int64]keyring{},
		modified: map[string]time.Time{},
		payloads: map[string]string{},
	}
}

func (w *walk) run() {
	for _, name := range w.src.leftovers() {
		w.warnf(CodeLeftover, "", name, "this does not belong in the web root; it would be published with the rest")
	}
	if !w.readPinned() {
		return
	}
	w.readRoots()
	w.readTimestamp()
	w.readSnapshot()
	files := w.readTargets()
	w.checkWentBack()
	w.checkTrap()
	if !w.o.MetadataOnly {
		w.checkTargets(files)
	}
	w.runClients()
}

func (w *walk) errorf(c Code, role, file, format string, args ...any) {
	w.tell(Finding{c, Error, role, file, fmt.Sprintf(format, args...)})
}

func (w *walk) warnf(c Code, role, file, format string, args ...any) {
	w.tell(Finding{c, Warning, role, file, fmt.Sprintf(format, args...)})
}

// tell keeps a finding once, however many roads lead to it.
func (w *walk) tell(f Finding) {
	if w.told[f] {
		return
	}
	w.told[f] = true
	w.report.Findings = append(w.report.Findings, f)
}

// read fetches and decodes metadata that must be there. It gives nil if there is
// nothing to go on with, and has then said why.
func (w *walk) read(file, role string) *document {
	b, err := w.src.fetch(w.ctx, file)
	if err != nil {
		w.unreadable(CodeMissing, role, file, err)
		return nil
	}
	w.modified[file] = b.modified
	return w.decode(file, role, b.data)
}

func (w *walk) decode(file, role string, data []byte) *document {
	d, err := decode(file, role, data)
	if err != nil {
		w.errorf(codeOf(err), role, file, "%v", err)
		return nil
	}
	sum := sha256.Sum256(d.canonical)
	w.payloads[file] = hex.EncodeToString(sum[:])
	w.checkForm(d)
	return d
}

// unreadable reports why a file could not be read; missing is the code for a file
// that is not there.
func (w *walk) unreadable(missing Code, role, file string, err error) {
	if w.ctx.Err() != nil {
		return
	}
	var status *statusError
	switch {
	case errors.Is(err, errMissing):
		w.errorf(missing, role, file, "it is not there")
	case errors.Is(err, errNotRegular):
		w.errorf(CodeNotRegular, role, file, "%v", err)
	case errors.Is(err, errTooLarge):
		w.errorf(CodeTooLarge, role, file, "%v", err)
	case errors.As(err, &status):
		w.errorf(CodeHTTPStatus, role, file, "the server answers %s; agents take 200 and 404 only", status.line)
	default:
		w.errorf(CodeUnreadable, role, file, "%v", err)
	}
}

// addRole puts a role into the report and judges its expiry.
func (w *walk) addRole(d *document, r *roleKeys, signed int) {
	role := Role{Name: d.role, File: d.file, Version: d.Version, Expires: d.expires.UTC(), Signed: signed}
	if r != nil {
		role.Keys, role.Threshold = len(r.KeyIDs), r.Threshold
	}
	role.Expired = !d.expires.IsZero() && !d.expires.After(w.o.At)
	if role.Expired {
		w.errorf(CodeExpired, d.role, d.file, "version %d expires %s, which is before %s", d.Version, d.expires.UTC().Format(time.RFC3339), w.o.At.UTC().Format(time.RFC3339))
	}
	w.report.Roles = append(w.report.Roles, role)
	if r != nil && r.Threshold > 0 && signed >= r.Threshold && slices.Contains(topLevel(), d.role) && w.report.Documents[d.role] == nil {
		w.report.Documents[d.role] = d.raw
	}
}
