package verify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// bufferSize is large enough that reading costs little beside hashing.
const bufferSize = 1 << 20

// job is one file to read, and everything that claims something about it.
type job struct {
	names  []stored
	result hashed
}

// hashed is what reading a file gave. announced is -1 if unknown.
type hashed struct {
	size      int64
	announced int64
	unpacked  bool // the server labelled it gzip
	sha512    string
	sha256    string
	err       error
}

// wholeJobs reads every name for itself: over HTTP nothing tells two names of one
// file.
func wholeJobs(files []stored) []*job {
	byName := map[string]*job{}
	var jobs []*job
	for _, f := range files {
		if j := byName[f.file]; j != nil {
			j.names = append(j.names, f)
			continue
		}
		j := &job{names: []stored{f}}
		byName[f.file] = j
		jobs = append(jobs, j)
	}
	return jobs
}

// linkedJobs reads hard links of one file once.
func linkedJobs(files []present) []*job {
	byFile := map[string]*job{}
	var jobs []*job
	for _, f := range files {
		key := cmp.Or(f.id, f.file)
		if j := byFile[key]; j != nil {
			j.names = append(j.names, f.stored)
			continue
		}
		j := &job{names: []stored{f.stored}}
		byFile[key] = j
		jobs = append(jobs, j)
	}
	return jobs
}

// hash reads all jobs, the largest first so that no processor is left with one at
// the end, and reports in the order of the walk.
func (w *walk) hash(jobs []*job) {
	stop := w.watch(jobs)
	queue := slices.Clone(jobs)
	slices.SortStableFunc(queue, func(a, b *job) int {
		return cmp.Compare(b.names[0].length, a.names[0].length)
	})
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(w.o.Workers, len(queue)) {
		group.Go(func() {
			buffer := make([]byte, bufferSize)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(queue) || w.ctx.Err() != nil {
					return
				}
				queue[i].result = w.hashOne(queue[i], buffer, stop)
				stop.files.Add(1)
			}
		})
	}
	group.Wait()
	stop.end()
	if w.ctx.Err() != nil {
		return
	}
	w.report.Files, w.report.Bytes = len(jobs), stop.bytes.Load()
	for _, j := range jobs {
		for _, f := range j.names {
			w.checkHashed(f, j.result)
		}
	}
}

// hashOne reads one file to its end, or one byte beyond what was promised: enough
// to know that it is too long.
func (w *walk) hashOne(j *job, buffer []byte, m *meter) hashed {
	c, err := w.src.open(w.ctx, j.names[0].file)
	if err != nil {
		return hashed{err: err, announced: -1}
	}
	defer c.Close()
	h512, h256 := sha512.New(), hash.Hash(nil)
	limit := int64(0)
	for _, f := range j.names {
		limit = max(limit, f.length)
		if f.sha256 != "" {
			h256 = sha256.New()
		}
	}
	result := hashed{announced: c.size, unpacked: c.unpacked}
	reader := io.LimitReader(c, limit+1)
	for {
		n, err := reader.Read(buffer)
		h512.Write(buffer[:n])
		if h256 != nil {
			h256.Write(buffer[:n])
		}
		result.size += int64(n)
		m.bytes.Add(int64(n))
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = w.ctx.Err()
		}
		if err != nil {
			return hashed{err: labelled(c.unpacked, pathError(err)), announced: c.size}
		}
	}
	result.sha512 = hex.EncodeToString(h512.Sum(nil))
	if h256 != nil {
		result.sha256 = hex.EncodeToString(h256.Sum(nil))
	}
	return result
}

// checkHashed compares one name's promise with what was read.
func (w *walk) checkHashed(f stored, r hashed) {
	if !w.checkPresent(f, r.announced, r.err) {
		return
	}
	if r.size != f.length {
		w.errorf(CodeTargetLength, f.role, f.file, "it has %s bytes, and metadata says %d%s", sizeText(r.size, f.length), f.length, label(r.unpacked))
		return
	}
	if f.sha512 != "" && f.sha512 != r.sha512 {
		w.errorf(CodeTargetHash, f.role, f.file, "its sha512 is %.16s.., and metadata says %.16s..%s", r.sha512, f.sha512, label(r.unpacked))
		return
	}
	if f.sha256 != "" && f.sha256 != r.sha256 {
		w.errorf(CodeTargetHash, f.role, f.file, "its sha256 is %.16s.., and metadata says %.16s..", r.sha256, f.sha256)
	}
}

// label tells of the usual reason why a server gives out other bytes than lie there.
func label(unpacked bool) string {
	if !unpacked {
		return ""
	}
	return `: the server labels it "Content-Encoding: gzip", so clients unpack it; take the label away`
}

func labelled(unpacked bool, err error) error {
	if !unpacked || err == nil {
		return err
	}
	return fmt.Errorf(`the server labels it "Content-Encoding: gzip", and it does not unpack: %w`, err)
}

func sizeText(size, length int64) string {
	if size > length {
		return fmt.Sprintf("%d or more", size)
	}
	return fmt.Sprint(size)
}

// meter counts what was read and tells the caller.
type meter struct {
	files, bytes atomic.Int64
	end          func()
}

func (w *walk) watch(jobs []*job) *meter {
	m := &meter{end: func() {}}
	if w.o.Progress == nil {
		return m
	}
	total := Progress{TotalFiles: len(jobs)}
	for _, j := range jobs {
		total.TotalBytes += j.names[0].length
	}
	tell := func() {
		p := total
		p.Files, p.Bytes = int(m.files.Load()), m.bytes.Load()
		w.o.Progress(p)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				tell()
			}
		}
	})
	m.end = func() {
		cancel()
		group.Wait()
		tell()
	}
	return m
}
