package watch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

const (
	// asksPerPoll and bytesPerPoll bound what a poll asks of an address about content.
	asksPerPoll  = 512
	bytesPerPoll = 256 << 20
	askers       = 8
)

// asked is a target in one poll.
type asked struct {
	verify.Content
	key  string // its name in the memory
	mark string
	err  error
}

// checkContent asks whether targets were written again, reads those that were, and gives
// those that are not what metadata names.
func (s *Service) checkContent(ctx context.Context, a Address, m *addressMemory, r *verify.Report) []Finding {
	all := contents(r)
	forget(m, all)
	turn := m.turn(all)
	askAll(ctx, a.Place, turn)
	var found []Finding
	version := int64(0)
	if role, ok := r.Role("targets"); ok {
		version = role.Version
	}
	fault := func(t *asked) {
		delete(m.Content, t.key)
		found = append(found, finding(OtherContent, a.Name, "targets", version, "%v", t.err))
	}
	var read []*asked
	for _, t := range turn {
		switch before, known := m.Content[t.key]; {
		case ctx.Err() != nil:
		case verify.OtherBytes(t.err):
			fault(t)
		case t.err != nil: // on the way there; the next poll asks again
		case !known || before.Mark != t.mark || s.aged(before):
			read = append(read, t)
		}
	}
	slices.SortStableFunc(read, func(a, b *asked) int { return cmp.Compare(m.rank(a), m.rank(b)) })
	var bytes int64
	for _, t := range read {
		if bytes > 0 && bytes+t.Length > bytesPerPoll || ctx.Err() != nil {
			break
		}
		bytes += t.Length
		if t.err = a.Place.Read(ctx, t.Content); verify.OtherBytes(t.err) {
			fault(t)
		} else if t.err == nil {
			m.Content[t.key] = checked{t.mark, s.now().Unix()}
		}
	}
	return found
}

// rank puts what has changed first, then what was never read, then the oldest.
func (m *addressMemory) rank(t *asked) int64 {
	before, known := m.Content[t.key]
	switch {
	case known && before.Mark != t.mark:
		return -2
	case !known:
		return -1
	}
	return before.At
}

func (s *Service) aged(c checked) bool {
	return s.now().Sub(time.Unix(c.At, 0)) >= s.cfg.Content
}

// contents lists the targets in a fixed order.
func contents(r *verify.Report) []*asked {
	var all []*asked
	for _, c := range r.Contents() {
		sum := sha256.Sum256([]byte(c.Path))
		all = append(all, &asked{Content: c, key: hex.EncodeToString(sum[:8])})
	}
	slices.SortFunc(all, func(a, b *asked) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// forget drops what is no target any more.
func forget(m *addressMemory, all []*asked) {
	if len(all) == 0 {
		return // metadata did not verify; that is told elsewhere
	}
	now := map[string]bool{}
	for _, t := range all {
		now[t.key] = true
	}
	for key := range m.Content {
		if !now[key] {
			delete(m.Content, key)
		}
	}
}

// turn gives those that are asked for in this poll.
func (m *addressMemory) turn(all []*asked) []*asked {
	if len(all) <= asksPerPoll {
		m.Next = 0
		return all
	}
	if m.Next >= len(all) || m.Next < 0 {
		m.Next = 0
	}
	from := m.Next
	turn := slices.Concat(all[from:], all[:from])[:asksPerPoll]
	m.Next = (from + asksPerPoll) % len(all)
	return turn
}

func askAll(ctx context.Context, p *verify.Place, turn []*asked) {
	next := make(chan *asked)
	var group sync.WaitGroup
	for range min(askers, len(turn)) {
		group.Go(func() {
			for t := range next {
				mark, err := p.Mark(ctx, t.Content)
				// Other content under the same name is another thing to have read.
				sum := sha256.Sum256([]byte(fmt.Sprint(mark, " ", t.Length, t.SHA512, t.SHA256)))
				t.mark, t.err = hex.EncodeToString(sum[:8]), err
			}
		})
	}
	for _, t := range turn {
		next <- t
	}
	close(next)
	group.Wait()
}
