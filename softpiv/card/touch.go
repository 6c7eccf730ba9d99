package card

import "time"

// Touch says who touches the card.
type Touch int

// How touches happen.
const (
	// TouchAuto: somebody touches it after the delay of SetTouch.
	TouchAuto Touch = iota
	// TouchNobody: nobody does; the command times out with 6982.
	TouchNobody
	// TouchByHand: only when Touch is called.
	TouchByHand
)

// touchCache is how long a touch of a "cached" key is good for.
const touchCache = 15 * time.Second

// SetTouch says who touches the card; delay is for TouchAuto.
func (c *Card) SetTouch(who Touch, delay time.Duration) {
	c.arm(func(k *knobs) { k.touch, k.touchDelay = who, delay })
}

// SetTouchTimeout says how long the card waits for a finger.
func (c *Card) SetTouchTimeout(d time.Duration) { c.arm(func(k *knobs) { k.touchTimeout = d }) }

// MissTouches lets the next n demanded touches time out, whatever SetTouch says.
func (c *Card) MissTouches(n int) { c.arm(func(k *knobs) { k.missTouches = n }) }

// Touch is a finger on the card. It reports whether the card was waiting for it;
// a touch too early does nothing.
func (c *Card) Touch() bool {
	c.mu.Lock()
	waiting := c.knobs.waiting
	c.mu.Unlock()
	if !waiting {
		return false
	}
	select {
	case c.touches <- struct{}{}:
		return true
	case <-time.After(time.Second): // it stopped waiting meanwhile
		return false
	}
}

// WaitingForTouch reports whether a command waits for a finger now.
func (c *Card) WaitingForTouch() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.knobs.waiting
}

// touched waits for a touch if the policy demands one. False: nobody came in time,
// or the card left.
func (c *Card) touched(ref, policy byte) bool {
	switch {
	case policy == touchNever:
		return true
	case policy == touchCached && time.Now().UnixNano() < c.session.touchedUntil:
		return true
	}
	if !c.awaitTouch(ref) {
		return false
	}
	if policy == touchCached {
		c.session.touchedUntil = time.Now().Add(touchCache).UnixNano()
	}
	return true
}

// awaitTouch waits without holding the state, so that the card can be touched or
// pulled out meanwhile.
func (c *Card) awaitTouch(ref byte) bool {
	who, delay, limit := c.knobs.touch, c.knobs.touchDelay, c.knobs.touchTimeout
	if c.knobs.missTouches > 0 {
		c.knobs.missTouches--
		who = TouchNobody
	}
	changed := c.changed
	c.knobs.waiting = true
	c.log.note("waiting for touch")
	came := false
	stayed := c.unlocked(func() {
		if c.cfg.OnTouch != nil {
			c.cfg.OnTouch(ref)
		}
		came = c.finger(who, delay, limit, changed)
	})
	c.knobs.waiting = false
	return stayed && came
}

// finger waits for the touch, its time-out, or the end of the power cycle.
func (c *Card) finger(who Touch, delay, limit time.Duration, changed <-chan struct{}) bool {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	var auto, hand <-chan struct{}
	switch who {
	case TouchAuto:
		done := make(chan struct{})
		timer := time.AfterFunc(delay, func() { close(done) })
		defer timer.Stop()
		auto, hand = done, c.touches
	case TouchByHand:
		hand = c.touches
	}
	select {
	case <-auto:
		return true
	case <-hand:
		return true
	case <-timeout.C:
		return false
	case <-changed:
		return false
	}
}
