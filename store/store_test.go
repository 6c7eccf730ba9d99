package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

func TestReadWrite(t *testing.T) {
	kinds(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		if _, err := s.Stat(ctx, "timestamp.json"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("stat of nothing: %v", err)
		}
		if _, err := Get(ctx, s, "1.root.json", 10); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("get of nothing: %v", err)
		}
		const name = "targets/orbit/linux/stable/orbit"
		want := []byte("hello, agents")
		var sent atomic.Int64
		if _, err := s.Put(ctx, name, Bytes(want), PutOptions{Progress: func(n int64) { sent.Add(n) }}); err != nil {
			t.Fatal(err)
		}
		if sent.Load() != int64(len(want)) {
			t.Errorf("progress says %d bytes, sent %d", sent.Load(), len(want))
		}
		got, err := Get(ctx, s, name, int64(len(want)))
		if err != nil || !bytes.Equal(got.Data, want) {
			t.Fatalf("got %q, %v", got.Data, err)
		}
		st, err := s.Stat(ctx, name)
		if err != nil || st.Size != int64(len(want)) || st.SHA512 != Bytes(want).SHA512 || st.ETag != got.ETag {
			t.Errorf("stat: %+v, %v", st, err)
		}
		if _, err := Get(ctx, s, name, int64(len(want))-1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("get over the limit: %v", err)
		}
		if err := s.Delete(ctx, name); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(ctx, name); err != nil {
			t.Errorf("second delete: %v", err)
		}
		if _, err := s.Stat(ctx, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat of a deleted file: %v", err)
		}
	})
}

func TestLargeFile(t *testing.T) {
	kinds(t, func(t *testing.T, s Store) {
		path := filepath.Join(t.TempDir(), "large")
		data := bytes.Repeat([]byte("0123456789abcdef"), (2*partSize+4096)/16)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c := Bytes(data)
		c.Open = func() (io.ReadCloser, error) { return os.Open(path) }
		if _, err := s.Put(t.Context(), "targets/large", c, PutOptions{}); err != nil {
			t.Fatal(err)
		}
		got, err := Get(t.Context(), s, "targets/large", c.Size)
		if err != nil || !bytes.Equal(got.Data, data) {
			t.Fatalf("%d bytes came back of %d: %v", len(got.Data), len(data), err)
		}
		same, err := sameContent(t.Context(), s, Info{Name: "targets/large", Size: c.Size}, c)
		if err != nil || !same {
			t.Errorf("not recognised: %v, %v", same, err)
		}
	})
}

func TestConditions(t *testing.T) {
	kinds(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		first, err := s.Put(ctx, "timestamp.json", Bytes([]byte("one")), PutOptions{Absent: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(ctx, "timestamp.json", Bytes([]byte("two")), PutOptions{Absent: true}); !errors.Is(err, ErrPrecondition) {
			t.Errorf("put over a taken name: %v", err)
		}
		second, err := s.Put(ctx, "timestamp.json", Bytes([]byte("two")), PutOptions{Match: first.ETag})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(ctx, "timestamp.json", Bytes([]byte("three")), PutOptions{Match: first.ETag}); !errors.Is(err, ErrPrecondition) {
			t.Errorf("put over another's write: %v", err)
		}
		if _, err := s.Put(ctx, "absent.json", Bytes([]byte("x")), PutOptions{Match: second.ETag}); err == nil {
			t.Error("put with a match on nothing succeeded")
		}
		got, err := Get(ctx, s, "timestamp.json", 10)
		if err != nil || string(got.Data) != "two" || got.ETag != second.ETag {
			t.Errorf("left behind: %q, %v", got.Data, err)
		}
		// An answer that was lost: the same bytes again are a success.
		if _, err := PutBytes(ctx, s, "timestamp.json", []byte("two"), PutOptions{Match: first.ETag}); err != nil {
			t.Errorf("identical bytes: %v", err)
		}
	})
}

func TestOneWinner(t *testing.T) {
	const writers = 8
	kinds(t, func(t *testing.T, s Store) {
		info, err := s.Put(t.Context(), "timestamp.json", Bytes([]byte("start")), PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for round := range 10 {
			for name, o := range map[string]PutOptions{"timestamp.json": {Match: info.ETag}, fmt.Sprintf("%d.root.json", round): {Absent: true}} {
				var wins, losses atomic.Int64
				var wg sync.WaitGroup
				for w := range writers {
					wg.Go(func() {
						_, err := s.Put(t.Context(), name, Bytes(fmt.Appendf(nil, "round %d writer %d", round, w)), o)
						switch {
						case err == nil:
							wins.Add(1)
						case errors.Is(err, ErrPrecondition):
							losses.Add(1)
						default:
							t.Errorf("neither won nor lost: %v", err)
						}
					})
				}
				wg.Wait()
				if wins.Load() != 1 || losses.Load() != writers-1 {
					t.Fatalf("%s: %d winners and %d losers among %d", name, wins.Load(), losses.Load(), writers)
				}
			}
			got, err := s.Stat(t.Context(), "timestamp.json")
			if err != nil {
				t.Fatal(err)
			}
			info = got
		}
	})
}

func TestList(t *testing.T) {
	kinds(t, func(t *testing.T, s Store) {
		want := []string{"1.root.json", "targets/a/b", "targets/a/c", "targets2/x"}
		for _, n := range want {
			if _, err := s.Put(t.Context(), n, Bytes([]byte(n)), PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		for prefix, want := range map[string][]string{"": want, "targets/": want[1:3], "targets": want[1:], "none/": nil} {
			var got []string
			for info, err := range s.List(t.Context(), prefix) {
				if err != nil {
					t.Fatal(err)
				}
				if info.Size != int64(len(info.Name)) || info.Modified.IsZero() {
					t.Errorf("listed as %+v", info)
				}
				got = append(got, info.Name)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("list of %q: %q, want %q", prefix, got, want)
			}
		}
	})
}

func TestBadNames(t *testing.T) {
	s := openTest(t, folderURL(t), OpenOptions{})
	for _, n := range []string{"", "/x", "x/", "a//b", "..", "a/../b", "./a", `a\b`, "a\x00b", "a\nb", string(make([]byte, maxName+1))} {
		if _, err := s.Put(t.Context(), n, Bytes(nil), PutOptions{}); !errors.Is(err, ErrBadName) {
			t.Errorf("name %q: %v", n, err)
		}
	}
}

func TestNoStore(t *testing.T) {
	missing := t.TempDir() + "/absent"
	srv := s3test.Start(t)
	for _, url := range []string{"file://" + missing, "s3://no-such-bucket?endpoint=http://" + srv.Addr} {
		s := openTest(t, url, OpenOptions{})
		_, err := Get(t.Context(), s, "timestamp.json", 10)
		if !errors.Is(err, ErrNoStore) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: get: %v", url, err)
		}
		if _, err := s.Put(t.Context(), "timestamp.json", Bytes(nil), PutOptions{}); !errors.Is(err, ErrNoStore) {
			t.Errorf("%s: put: %v", url, err)
		}
		for _, err := range s.List(t.Context(), "") {
			if !errors.Is(err, ErrNoStore) {
				t.Errorf("%s: list: %v", url, err)
			}
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("the folder was made by a write")
	}
}

func TestServerAway(t *testing.T) {
	srv := s3test.Start(t)
	s := openTest(t, srv.URL(""), OpenOptions{Retries: 2})
	srv.Stop()
	if _, err := s.Stat(t.Context(), "timestamp.json"); err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNoStore) {
		t.Errorf("a server that is away looks like %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-ctx.Done()
	if _, _, err := s.Open(ctx, "timestamp.json"); err == nil {
		t.Error("a read succeeded after its time")
	}
}

func TestTempFilesAreKnown(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, "file://"+dir, OpenOptions{})
	broken := Content{Size: 5, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader([]byte("four"))), nil
	}}
	if _, err := s.Put(t.Context(), "a", broken, PutOptions{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("short content: %v", err)
	}
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if !atomicfile.IsTemp(filepath.Base(f.Name())) {
		t.Errorf("%q is not known as temporary", f.Name())
	}
	for info := range s.List(t.Context(), "") {
		t.Errorf("left behind: %+v", info)
	}
}
