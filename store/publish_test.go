package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/store/repotest"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
	"github.com/minio/minio-go/v7"
)

// layouts runs a test on every kind of store with both layouts.
func layouts(t *testing.T, f func(t *testing.T, s Store, r *repotest.Repo)) {
	for _, consistent := range []bool{false, true} {
		t.Run(fmt.Sprintf("consistent=%v", consistent), func(t *testing.T) {
			kinds(t, func(t *testing.T, s Store) { f(t, s, repotest.New(t, consistent)) })
		})
	}
}

func options(r *repotest.Repo) Options {
	return Options{Dir: r.Dir, ReadBack: readBackWith(r.Read("1.root.json"))}
}

func publish(t *testing.T, s Store, o Options) (Result, *UploadPlan) {
	t.Helper()
	p, err := MakePlan(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.Publish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return res, p
}

func names(items []Item) []string {
	var n []string
	for _, it := range items {
		n = append(n, it.Name)
	}
	return n
}

func TestPublish(t *testing.T) {
	layouts(t, func(t *testing.T, s Store, r *repotest.Repo) {
		for i := range 40 {
			r.Targets[fmt.Sprintf("orbit/linux/1.%d/orbit", i)] = fmt.Appendf(nil, "orbit %d", i)
		}
		r.Commit()
		var last Progress
		o := options(r)
		o.Progress = func(p Progress) { last = p }
		res, p := publish(t, s, o)
		if res.Files != len(p.Items) || res.Bytes != p.Bytes || last.Files != res.Files || last.Bytes != res.Bytes || last.BytesTotal != p.Bytes {
			t.Errorf("result %+v, last report %+v, plan %d files %d bytes", res, last, len(p.Items), p.Bytes)
		}
		if res, _ := publish(t, s, o); res.Files != 0 {
			t.Errorf("a second publish wrote %d files", res.Files)
		}
		r.Targets["orbit/linux/stable/orbit"] = []byte("orbit 1.40")
		r.Targets["orbit/linux/1.1/orbit"] = []byte("another 1.1")
		delete(r.Targets, "orbit/linux/1.0/orbit")
		r.Commit()
		res, p = publish(t, s, o)
		content := 0
		for _, it := range p.Items {
			if it.Step == StepContent {
				content++
			}
		}
		if content != 2 || p.Items[len(p.Items)-1].Name != "timestamp.json" {
			t.Errorf("wrote %q", names(p.Items))
		}
		r.Root()
		r.Timestamp()
		res, p = publish(t, s, o)
		want := []string{"2.root.json", "root.json", "timestamp.json"}
		if r.Consistent {
			want = []string{"root.json", "2.root.json", "timestamp.json"}
		}
		if got := names(p.Items); !slices.Equal(got, want) {
			t.Errorf("after a new root wrote %q, want %q; %+v", got, want, res)
		}
	})
}

func TestOrder(t *testing.T) {
	for consistent, want := range map[bool][]string{
		false: {StepContent, StepRootChain, StepRoot, StepTargets, StepSnapshot, StepTimestamp},
		true:  {StepContent, StepTargets, StepSnapshot, StepCopies, StepRoot, StepRootChain, StepTimestamp},
	} {
		r := repotest.New(t, consistent)
		r.Targets["a/b/c/d"] = []byte("d")
		r.Root()
		r.Commit()
		p, err := MakePlan(t.Context(), openTest(t, folderURL(t), OpenOptions{}), options(r))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, it := range p.Items {
			if len(got) == 0 || got[len(got)-1] != it.Step {
				got = append(got, it.Step)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("consistent=%v: steps %q, want %q", consistent, got, want)
		}
		for i := range p.Items {
			if n := p.stepLength(i); p.Items[i].Step == StepRootChain && n != 1 {
				t.Errorf("%d roots go out together", n)
			}
		}
	}
}

// TestTimestampOnly: after one timestamp, one PUT and no listing.
func TestTimestampOnly(t *testing.T) {
	srv := s3test.Start(t)
	for _, consistent := range []bool{false, true} {
		var mu sync.Mutex
		var requests []string
		s := openTest(t, srv.URL(fmt.Sprint(consistent)), OpenOptions{Wrap: func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(req *http.Request) (*http.Response, error) {
				mu.Lock()
				requests = append(requests, req.Method+" "+req.URL.RequestURI())
				mu.Unlock()
				return next.RoundTrip(req)
			})
		}})
		r := repotest.New(t, consistent)
		for i := range 50 {
			r.Targets[fmt.Sprintf("t/%d", i)] = fmt.Append(nil, i)
		}
		r.Commit()
		o := Options{Dir: r.Dir}
		publish(t, s, o)
		r.Timestamp()
		requests = nil
		publish(t, s, o)
		puts, lists := 0, 0
		for _, req := range requests {
			if strings.HasPrefix(req, "PUT ") {
				puts++
			}
			if strings.Contains(req, "list-type") || strings.Contains(req, "prefix=") {
				lists++
			}
		}
		if puts != 1 || lists != 0 {
			t.Errorf("%d PUTs and %d listings: %q", puts, lists, requests)
		}
		t.Logf("consistent=%v: %d requests: %q", consistent, len(requests), requests)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestWithoutTimestamp(t *testing.T) {
	kinds(t, func(t *testing.T, s Store) {
		r := repotest.New(t, true)
		publish(t, s, options(r))
		old := r.Read("timestamp.json")
		// The online signer goes on meanwhile.
		online := r.Clone()
		online.Timestamp()
		online.Timestamp()
		publish(t, s, options(online))
		r.Targets["a/b"] = []byte("b")
		r.CommitWithoutTimestamp()
		o := options(r)
		o.WithoutTimestamp = true
		_, p := publish(t, s, o)
		if slices.Contains(names(p.Items), "timestamp.json") || !slices.Contains(names(p.Items), "2.snapshot.json") {
			t.Errorf("wrote %q", names(p.Items))
		}
		got, err := Get(t.Context(), s, "timestamp.json", tuf.MaxTimestamp)
		if err != nil || bytes.Equal(got.Data, old) || !bytes.Equal(got.Data, online.Read("timestamp.json")) {
			t.Errorf("timestamp.json was touched: %v", err)
		}
		if res, _ := publish(t, s, o); res.Files != 0 {
			t.Errorf("again: %+v", res)
		}
		flat := repotest.New(t, false)
		fo := options(flat)
		fo.WithoutTimestamp = true
		if _, err := MakePlan(t.Context(), s, fo); !errors.Is(err, ErrLayout) {
			t.Errorf("flat: %v", err)
		}
	})
}

// TestOnlineWasFaster: the online signer covers our snapshot between its upload and
// that of our timestamp.
func TestOnlineWasFaster(t *testing.T) {
	kinds(t, func(t *testing.T, s Store) {
		r := repotest.New(t, true)
		publish(t, s, options(r))
		r.Targets["a/b"] = []byte("b")
		r.Commit()
		other := r.Clone()
		other.Timestamp()
		p, err := MakePlan(t.Context(), s, options(r))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(t.Context(), "timestamp.json", Bytes(other.Read("timestamp.json")), PutOptions{}); err != nil {
			t.Fatal(err)
		}
		res, err := p.Publish(t.Context())
		if err != nil || !res.TimestampKept {
			t.Errorf("%+v, %v", res, err)
		}
		got, err := Get(t.Context(), s, "timestamp.json", tuf.MaxTimestamp)
		if err != nil || !bytes.Equal(got.Data, other.Read("timestamp.json")) {
			t.Errorf("the newer timestamp was overwritten: %v", err)
		}
	})
}

func TestFlatToConsistent(t *testing.T) {
	kinds(t, func(t *testing.T, s Store) {
		r := repotest.New(t, false)
		r.Targets["a/b"] = []byte("b")
		r.Commit()
		publish(t, s, options(r))
		r.Consistent = true
		r.Root()
		r.Commit()
		publish(t, s, options(r))
		r.Targets["a/b"] = []byte("b2")
		r.Commit()
		publish(t, s, options(r))
	})
}

func TestMetadataOnlyCheckout(t *testing.T) {
	layouts(t, func(t *testing.T, s Store, r *repotest.Repo) {
		r.Targets["a/b"] = []byte("b")
		r.Commit()
		publish(t, s, options(r))
		if err := os.RemoveAll(filepath.Join(r.Dir, "targets")); err != nil {
			t.Fatal(err)
		}
		r.Timestamp()
		publish(t, s, options(r))
		r.Snapshot(r.Read("targets.json"))
		r.Timestamp()
		publish(t, s, options(r))
	})
}

// TestForeignUpload: files that another tool put there are recognised, or replaced.
func TestForeignUpload(t *testing.T) {
	layouts(t, func(t *testing.T, s Store, r *repotest.Repo) {
		for i := range listOver + 10 {
			r.Targets[fmt.Sprintf("a/%d", i)] = fmt.Appendf(nil, "content %02d", i)
		}
		r.Commit()
		n := 0
		err := filepath.WalkDir(filepath.Join(r.Dir, "targets"), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, _ := filepath.Rel(r.Dir, p)
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			if n++; n == 1 {
				data[0] ^= 1
			}
			c := Bytes(data)
			c.SHA512 = "" // no such metadata from other tools
			_, err = s.Put(t.Context(), filepath.ToSlash(rel), c, PutOptions{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		_, p := publish(t, s, options(r))
		sent := 0
		for _, it := range p.Items {
			if it.Step == StepContent {
				sent++
			}
		}
		if sent != 1 {
			t.Errorf("%d of %d files were sent, 1 was wrong", sent, n)
		}
	})
}

func TestHeaders(t *testing.T) {
	srv := s3test.Start(t)
	s := openTest(t, srv.URL(""), OpenOptions{}).(*bucket)
	r := repotest.New(t, true)
	r.Targets["a/b"] = []byte("b")
	r.Commit()
	_, p := publish(t, s, options(r))
	for _, it := range p.Items {
		_, _, h, err := s.core.GetObject(t.Context(), s3test.Bucket, it.Name, minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := DefaultCaching(true).header(it.Name, true)
		if h.Get("Cache-Control") != want.CacheControl || h.Get("Content-Type") != want.ContentType {
			t.Errorf("%s: %q %q", it.Name, h.Get("Cache-Control"), h.Get("Content-Type"))
		}
	}
}
