//go:build cgo || windows

package pcsc

import (
	"errors"
	"strings"
)

// mostAnswer is the longest answer that a reader may give (MAX_BUFFER_SIZE_EXTENDED).
const mostAnswer = 4 + 3 + 1<<16 + 3 + 2

// Connect takes the card in a reader for this process alone (SCARD_SHARE_EXCLUSIVE, T=1)
// and begins a transaction. If it fails, nothing is held.
func Connect(reader string) (*Card, error) {
	if strings.ContainsRune(reader, 0) {
		return nil, errors.New("the name of a reader has no zero byte")
	}
	c := &Card{}
	if err := c.establish(); err != nil {
		return nil, err
	}
	if err := c.connect(reader); err != nil {
		return nil, errors.Join(err, c.release())
	}
	if err := c.begin(); err != nil {
		return nil, errors.Join(err, c.disconnect(), c.release())
	}
	return c, nil
}

// Exchange sends one command and gives the answer as it came, its status word last.
func (c *Card) Exchange(command []byte) ([]byte, error) {
	if len(command) == 0 {
		return nil, errors.New("an empty command")
	}
	return c.transmit(command)
}

// Close ends the transaction and gives the card back, as it is.
func (c *Card) Close() error {
	return errors.Join(c.end(), c.disconnect(), c.release())
}
