package card

import (
	"bytes"
	"time"
)

// knobs is what a test, or the person at the desk, does to the card.
type knobs struct {
	present         bool
	count           int
	removeAfter     countdown
	loseAfter       countdown
	resetAfter      countdown
	busy            int
	wrongSignatures int
	noPIV           bool
	touch           Touch
	touchDelay      time.Duration
	touchTimeout    time.Duration
	missTouches     int
	waiting         bool
}

// countdown fires once, after n commands.
type countdown struct {
	armed bool
	left  int
}

// fires reports whether this command is the one, and counts it otherwise.
func (d *countdown) fires() bool {
	if !d.armed {
		return false
	}
	if d.left == 0 {
		*d = countdown{}
		return true
	}
	d.left--
	return false
}

// beforeCommand lets the card vanish or be reset instead of running a command.
func (c *Card) beforeCommand() error {
	if c.knobs.removeAfter.fires() {
		c.remove()
		return ErrRemoved
	}
	if c.knobs.resetAfter.fires() {
		c.endLife()
		return ErrReset
	}
	c.knobs.count++
	return nil
}

// afterCommand lets the card vanish before its answer arrives; life and arrivals
// are those of the moment when the command began.
func (c *Card) afterCommand(life, arrivals uint64) error {
	if c.knobs.loseAfter.fires() {
		c.remove()
	}
	switch {
	case c.arrivals != arrivals:
		return ErrRemoved
	case c.life != life:
		return ErrReset
	}
	return nil
}

// endLife is a loss of power or a reset: the session is gone.
func (c *Card) endLife() {
	c.session = session{}
	c.life++
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Card) remove() {
	if !c.knobs.present {
		return
	}
	c.knobs.present = false
	c.arrivals++
	c.endLife()
}

// Remove pulls the card out, also from under a running command.
func (c *Card) Remove() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove()
}

// Insert plugs the card in.
func (c *Card) Insert() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.knobs.present {
		return
	}
	c.knobs.present = true
	c.arrivals++
	c.endLife()
}

// Reset is a warm reset: PIN and management authentication are forgotten.
func (c *Card) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLife()
}

// PowerOff cuts the power; the card is as after a Reset when it comes back.
func (c *Card) PowerOff() { c.Reset() }

// Present reports whether the card is plugged in.
func (c *Card) Present() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.knobs.present
}

// Arrivals counts insertions and removals, so that a transport can tell whether
// this is still the card it connected to.
func (c *Card) Arrivals() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.arrivals
}

// Changed is closed when the card next comes, goes or is reset.
func (c *Card) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// RemoveAfter lets n more commands be answered; instead of the next one the card
// is gone. Negative: no more of that.
func (c *Card) RemoveAfter(n int) { c.arm(func(k *knobs) { k.removeAfter = after(n) }) }

// LoseAnswerAfter lets n more commands be answered; the next one is carried out,
// but the card is gone before its answer arrives. Negative: no more of that.
func (c *Card) LoseAnswerAfter(n int) { c.arm(func(k *knobs) { k.loseAfter = after(n) }) }

// ResetAfter lets n more commands be answered; instead of the next one the card is
// reset by somebody else. Negative: no more of that.
func (c *Card) ResetAfter(n int) { c.arm(func(k *knobs) { k.resetAfter = after(n) }) }

// SetBusy makes the next n attempts to connect fail as if another program held the
// card. Only the stand-in library honours it: pcscd decides that by itself.
func (c *Card) SetBusy(n int) { c.arm(func(k *knobs) { k.busy = n }) }

// TakeBusy uses up one of the attempts of SetBusy; for transports.
func (c *Card) TakeBusy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.knobs.busy <= 0 {
		return false
	}
	c.knobs.busy--
	return true
}

// SetWrongSignatures spoils the next n signatures.
func (c *Card) SetWrongSignatures(n int) { c.arm(func(k *knobs) { k.wrongSignatures = n }) }

// SetNoPIV takes the PIV applet away, as on a key without PIV: SELECT is 6A82.
func (c *Card) SetNoPIV(yes bool) { c.arm(func(k *knobs) { k.noPIV = yes }) }

// Count is the number of commands carried out since the card was made or
// ResetCount was called. Parts of a chained command and of an answer count each.
func (c *Card) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.knobs.count
}

// ResetCount starts Count at zero.
func (c *Card) ResetCount() { c.arm(func(k *knobs) { k.count = 0 }) }

// PINLeft and PUKLeft give the tries left.
func (c *Card) PINLeft() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.PIN.Left
}

// PUKLeft gives the tries left of the PUK.
func (c *Card) PUKLeft() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.PUK.Left
}

// IsChanged reports whether PIN, PUK or management key are other ones than the factory's.
func (c *Card) IsChanged() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.state
	return !bytes.Equal(st.PIN.Value, padPIN(factoryPIN)) || !bytes.Equal(st.PUK.Value, padPIN(factoryPUK)) ||
		!bytes.Equal(st.Management.Key, factoryManagementKey())
}

func (c *Card) arm(set func(*knobs)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	set(&c.knobs)
}

func after(n int) countdown { return countdown{armed: n >= 0, left: n} }
