package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
)

// openControl opens the socket for commands from other shells. Its name must be short,
// so it is not in the desk's folder; "control" there says where it is.
func (d *desk) openControl() error {
	dir, err := os.MkdirTemp("", "softpiv-control-")
	if err != nil {
		return err
	}
	if d.control, err = net.Listen("unix", filepath.Join(dir, "s")); err != nil {
		_ = os.RemoveAll(dir)
		return err
	}
	return atomicfile.Write(d.path("control"), []byte(d.control.Addr().String()), 0o600)
}

// listen answers commands from other shells.
func (d *desk) listen() {
	for {
		conn, err := d.control.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			d.answer(conn)
		}()
	}
}

// answer reads one line and writes "ok" or "error" and the answer.
func (d *desk) answer(conn net.Conn) {
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	out, err := d.obey(line)
	if err != nil && !errors.Is(err, errQuit) {
		_, _ = fmt.Fprintf(conn, "error %v\n", err)
		return
	}
	_, _ = fmt.Fprintf(conn, "ok %s\n", out)
	if err != nil {
		d.end()
	}
}

func (d *desk) end() { d.once.Do(func() { close(d.quit) }) }

// tell gives one command to the softpiv that runs on a folder.
func tell(dir, line string, w io.Writer) error {
	if dir == "" {
		return errors.New("which one? name the folder of the running softpiv with --state")
	}
	address, err := os.ReadFile(filepath.Join(dir, "control"))
	if err != nil {
		return fmt.Errorf("no softpiv runs on %q: %w", dir, err)
	}
	conn, err := net.Dial("unix", string(address))
	if err != nil {
		return fmt.Errorf("no softpiv runs on %q: %w", dir, err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintln(conn, line); err != nil {
		return err
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	verdict, out, _ := strings.Cut(strings.TrimSpace(string(reply)), " ")
	switch verdict {
	case "ok":
		if out != "" {
			_, err = fmt.Fprintln(w, out)
		}
		return err
	case "error":
		return errors.New(out)
	}
	return fmt.Errorf("no answer to %q", line)
}

// converse obeys the person at the terminal until the input ends; the cards stay
// plugged in then.
func (d *desk) converse(r io.Reader, w io.Writer) {
	in := bufio.NewScanner(r)
	for in.Scan() {
		out, err := d.obey(in.Text())
		switch {
		case errors.Is(err, errQuit):
			d.end()
			return
		case err != nil:
			_, _ = fmt.Fprintln(w, err)
		case out != "":
			_, _ = fmt.Fprintln(w, out)
		}
	}
}
