package pcsc

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

const (
	// vpcdDriver is where Debian's vsmartcard-vpcd puts it.
	vpcdDriver = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
	// vpcdPort is the first port; every reader of vpcd has two slots and two ports.
	vpcdPort = 0x8C7B
	// startLimit is how long pcscd may take to see its cards, on a machine that has
	// much else to do.
	startLimit = time.Minute
)

// launch runs pcscd with a run folder of its own and without the drivers of real
// readers: a test never reaches a card of the machine it runs on.
const launch = `mount --bind "$1/run" /run &&
{ [ ! -d /usr/lib/pcsc/drivers ] || mount --bind "$1/none" /usr/lib/pcsc/drivers; } &&
exec "$2" --foreground --config "$1/conf"`

// Daemon is a running pcscd with software cards in its readers.
type Daemon struct {
	dir    string
	cmd    *exec.Cmd
	log    *os.File
	done   chan struct{} // Close was called
	exited chan struct{} // pcscd is gone
	wait   sync.WaitGroup
	cards  []*socketCard // set before the daemon starts
}

// StartPCSCD runs pcscd with one vpcd reader per card and waits until it has seen
// the cards that are present. It needs root (for the namespaces) and the Debian
// packages pcscd and vsmartcard-vpcd.
func StartPCSCD(cards ...*card.Card) (*Daemon, error) {
	program, err := findPCSCD()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(socketRoot(), "softpiv-pcscd-")
	if err != nil {
		return nil, err
	}
	d := &Daemon{dir: dir, done: make(chan struct{}), exited: make(chan struct{})}
	if err := d.start(program, cards); err != nil {
		return nil, errors.Join(fmt.Errorf("starting pcscd: %w", err), d.Close())
	}
	return d, nil
}

func findPCSCD() (string, error) {
	if os.Geteuid() != 0 {
		return "", errors.New("a pcscd of its own needs root: its port and its socket are fixed, so it gets namespaces")
	}
	if _, err := os.Stat(vpcdDriver); err != nil {
		return "", fmt.Errorf("vpcd driver (Debian package vsmartcard-vpcd): %w", err)
	}
	if path, err := exec.LookPath("pcscd"); err == nil {
		return path, nil
	}
	const usual = "/usr/sbin/pcscd" // not in everybody's PATH
	if _, err := os.Stat(usual); err != nil {
		return "", fmt.Errorf("pcscd (Debian package pcscd): %w", err)
	}
	return usual, nil
}

func (d *Daemon) start(program string, cards []*card.Card) error {
	if err := d.prepare(cards); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(d.dir, "log"))
	if err != nil {
		return err
	}
	d.log = log
	cmd := exec.Command("sh", "-c", launch, "sh", d.dir, program)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if err := cmd.Start(); err != nil {
		return err
	}
	d.cmd = cmd
	go func() {
		_ = cmd.Wait()
		close(d.exited)
	}()
	if err := loopbackUp(cmd.Process.Pid); err != nil {
		return err
	}
	for _, v := range d.cards {
		d.wait.Go(func() { v.run(d.done) })
	}
	return d.Settled()
}

// prepare seats the cards and writes the reader.conf folder and the other folders
// that launch mounts.
func (d *Daemon) prepare(cards []*card.Card) error {
	for _, name := range []string{"run", "none", "conf"} {
		if err := os.Mkdir(filepath.Join(d.dir, name), 0o755); err != nil {
			return err
		}
	}
	driver, err := os.ReadFile(vpcdDriver)
	if err != nil {
		return err
	}
	var conf bytes.Buffer
	for i, name := range d.seat(cards) {
		// vpcd keeps its slots in static variables: each reader needs its own copy.
		copied := filepath.Join(d.dir, fmt.Sprintf("libifdvpcd-%d.so", i))
		if err := os.WriteFile(copied, driver, 0o755); err != nil {
			return err
		}
		fmt.Fprintf(&conf, "FRIENDLYNAME %q\nDEVICENAME /dev/null:0x%X\nLIBPATH %s\nCHANNELID 0x%X\n\n",
			name, portOf(i, 0), copied, portOf(i, 0))
	}
	return os.WriteFile(filepath.Join(d.dir, "conf", "reader.conf"), conf.Bytes(), 0o644)
}

// seat gives every card a slot and returns the names of the readers. A reader of vpcd
// always has two slots, "00 00" and "00 01"; two cards that do not care about their
// reader's name share one, so that few slots stay empty.
func (d *Daemon) seat(cards []*card.Card) []string {
	var readers []string
	half := map[string]int{} // reader with a free second slot
	for _, c := range cards {
		name := friendlyName(c)
		if i, ok := half[name]; ok && c.Reader() == "" {
			delete(half, name)
			d.add(c, readers[i]+" 00 01", portOf(i, 1))
			continue
		}
		i := len(readers)
		if c.Reader() == "" {
			half[name] = i
		}
		readers = append(readers, freeName(name, readers))
		d.add(c, readers[i]+" 00 00", portOf(i, 0))
	}
	return readers
}

func portOf(reader, slot int) int { return vpcdPort + 2*reader + slot }

// add prepares the place of a card. One that was pulled out is plugged in again only
// when the daemon has noticed that it was away: no hand is faster than a real reader.
func (d *Daemon) add(c *card.Card, reader string, port int) {
	away := func(believed bool) bool { return !believed }
	dial := func() (net.Conn, error) {
		if err := d.until(reader, away, nil); err != nil {
			return nil, err
		}
		return d.dial(port)
	}
	d.cards = append(d.cards, &socketCard{card: c, reader: reader, dial: dial})
}

// friendlyName is the reader name without the numbers, which pcscd appends itself.
func friendlyName(c *card.Card) string {
	switch name := strings.TrimSuffix(c.Reader(), " 00 00"); {
	case name != "":
		return name
	case c.OtherVendor():
		return "ACME Card Reader"
	}
	return "Yubico YubiKey OTP+FIDO+CCID"
}

// freeName numbers the second and later readers of one name, because pcscd does not.
func freeName(name string, taken []string) string {
	free := name
	for i := 2; slices.Contains(taken, free); i++ {
		free = fmt.Sprintf("%s (%d)", name, i)
	}
	return free
}

// dial connects to a port inside the daemon's network, which opens some time after
// its start.
func (d *Daemon) dial(port int) (net.Conn, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := dialInside(d.cmd.Process.Pid, port)
		if err == nil {
			return conn, nil
		}
		select {
		case <-tick.C:
		case <-d.done:
			return nil, err
		case <-d.exited:
			return nil, err
		}
	}
}

func (d *Daemon) logged() []byte {
	b, err := os.ReadFile(d.log.Name())
	if err != nil {
		return []byte(err.Error())
	}
	return b[max(0, len(b)-2000):]
}

// Socket is the path of the daemon's socket.
func (d *Daemon) Socket() string { return filepath.Join(d.dir, "run", "pcscd", "pcscd.comm") }

// Env is what to add to a child's environment, so that it loads the real libpcsclite
// and that talks to this daemon.
func (d *Daemon) Env() []string {
	env := []string{"PCSCLITE_CSOCK_NAME=" + d.Socket()}
	if stub := os.Getenv(envStub); stub != "" {
		path := filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))
		path = slices.DeleteFunc(path, func(dir string) bool { return dir == stub })
		env = append(env, "LD_LIBRARY_PATH="+strings.Join(path, ":"))
	}
	return env
}

// PID is the daemon's process.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Close stops the daemon and waits for its end.
func (d *Daemon) Close() error {
	select {
	case <-d.done:
		return nil
	default:
	}
	close(d.done)
	if d.cmd != nil {
		d.stop()
	}
	var cards []*card.Card
	for _, v := range d.cards {
		cards = append(cards, v.card)
	}
	unpower(&d.wait, cards)
	if d.log != nil {
		_ = d.log.Close()
	}
	return os.RemoveAll(d.dir)
}

// stop asks pcscd to end, and after a while does not ask.
func (d *Daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(5 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.exited
	}
}
