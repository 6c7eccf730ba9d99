//go:build cgo && !windows

package pcsc_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/internal/pcsc"
	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
	soft "github.com/fleet-hsm/fleet-hsm/softpiv/pcsc"
)

func TestMain(m *testing.M) { os.Exit(soft.Main(m)) }

// code is the return code that an error carries.
func code(err error) uint32 {
	var e *pcsc.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

func selectPIV() []byte {
	return []byte{0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08}
}

func TestConnection(t *testing.T) {
	c, err := card.New(card.Config{Serial: 7})
	if err != nil {
		t.Fatal(err)
	}
	reader := soft.Use(t, c).Readers()[0]
	for range 3 { // what is given back can be taken again
		conn, err := pcsc.Connect(reader)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := conn.Exchange(selectPIV())
		if err != nil || !bytes.HasSuffix(answer, []byte{0x90, 0x00}) {
			t.Errorf("answer %x, %v", answer, err)
		}
		if _, err := pcsc.Connect(reader); code(err) != 0x8010000B {
			t.Errorf("a second one: %v, want a sharing violation", err)
		}
		if _, err := conn.Exchange(nil); err == nil || code(err) != 0 {
			t.Errorf("no command at all: %v", err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestGivenBackAsItIs: Close neither resets the card nor cuts its power.
func TestGivenBackAsItIs(t *testing.T) {
	c, err := card.New(card.Config{Serial: 7})
	if err != nil {
		t.Fatal(err)
	}
	reader := soft.Use(t, c).Readers()[0]
	verified := []byte{0x00, 0x20, 0x00, 0x80, 0x00}
	for _, command := range [][]byte{append([]byte{0x00, 0x20, 0x00, 0x80, 0x08}, "123456\xFF\xFF"...), verified} {
		conn, err := pcsc.Connect(reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exchange(selectPIV()); err != nil {
			t.Fatal(err)
		}
		if answer, err := conn.Exchange(command); err != nil || !bytes.Equal(answer, []byte{0x90, 0x00}) {
			t.Errorf("answer %x, %v", answer, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFailures(t *testing.T) {
	if _, err := pcsc.Connect("any"); code(err) != 0x8010001D {
		t.Errorf("no service: %v", err)
	}
	c, err := card.New(card.Config{Serial: 7})
	if err != nil {
		t.Fatal(err)
	}
	t0, err := card.New(card.Config{Serial: 8, T0Only: true})
	if err != nil {
		t.Fatal(err)
	}
	readers := soft.Use(t, c, t0).Readers()
	for range 3 {
		if _, err := pcsc.Connect("another reader"); code(err) != 0x80100009 {
			t.Errorf("no such reader: %v", err)
		}
		if _, err := pcsc.Connect(readers[1]); code(err) != 0x8010000F {
			t.Errorf("T=0: %v", err)
		}
	}
	if _, err := pcsc.Connect(readers[0] + "\x00"); err == nil {
		t.Error("a name with a zero byte was cut there")
	}
	conn, err := pcsc.Connect(readers[0])
	if err != nil {
		t.Fatal(err)
	}
	c.Reset()
	if _, err := conn.Exchange(selectPIV()); err != nil && code(err) != 0x80100068 {
		t.Errorf("reset: %v", err)
	}
	c.Remove()
	if _, err := conn.Exchange(selectPIV()); code(err) != 0x80100069 {
		t.Errorf("removed: %v", err)
	}
	_ = conn.Close() // says that the card is gone
	c.Insert()
	again, err := pcsc.Connect(readers[0])
	if err != nil {
		t.Fatalf("after it was put back: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
