// Command client07 is the client of go-tuf v0.7.0 as a small program, with the commands
// of fleetclient that tests share: a second opinion on what fleet-hsm publishes.
//
//	client07 --url URL --state DIR [--root FILE] [--ca FILE] COMMAND
//
//	update                    refresh the metadata
//	all                       update, then check every target in targets.json
//	download NAME [-o FILE]   check a target; without -o, drop the bytes
//
// --root pins a root.json and is needed only while the state is empty. stdout holds
// one line of JSON, stderr the reason of a failure. Exit codes: 0 accepted, 1 refused
// or failed, 2 wrong use.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// errUsage marks what the caller got wrong: exit 2.
var errUsage = errors.New("wrong use")

func run(args []string, stdout, stderr io.Writer) int {
	err := dispatch(args, stdout)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(stderr, "client07:", err)
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

// setup is what the flags say; arg is NAME of download.
type setup struct {
	url, state, root, ca, out, arg string
}

func dispatch(args []string, stdout io.Writer) error {
	s, command, err := parse(args)
	if err != nil {
		return err
	}
	c, err := open(s)
	if err != nil {
		return err
	}
	switch command {
	case "update":
		v, err := c.update()
		return print(stdout, v, err)
	case "download":
		v, err := c.download(s.arg, s.out)
		return print(stdout, v, err)
	}
	v, err := c.all()
	return errors.Join(json.NewEncoder(stdout).Encode(v), err)
}

func print(w io.Writer, v any, err error) error {
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(v)
}

// parse takes flags before and behind the command and NAME.
func parse(args []string) (s setup, command string, err error) {
	fs := flag.NewFlagSet("client07", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&s.url, "url", "", "web root of the repository")
	fs.StringVar(&s.state, "state", "", "the client's folder")
	fs.StringVar(&s.root, "root", "", "pinned root.json, for an empty state")
	fs.StringVar(&s.ca, "ca", "", "PEM file of the certificate authorities to trust")
	fs.StringVar(&s.out, "o", "", "file to write")
	var words []string
	for rest := args; ; {
		if err := fs.Parse(rest); err != nil {
			return s, "", errors.Join(errUsage, err)
		}
		if fs.NArg() == 0 {
			break
		}
		words, rest = append(words, fs.Arg(0)), fs.Args()[1:]
	}
	want := map[string]int{"update": 1, "all": 1, "download": 2}
	if len(words) == 0 || want[words[0]] != len(words) || s.url == "" || s.state == "" {
		return s, "", fmt.Errorf("%w: --url, --state and update, all or download NAME are required", errUsage)
	}
	if len(words) == 2 {
		s.arg = words[1]
	}
	return s, words[0], nil
}

// web gives the HTTP client that trusts --ca, or the system's authorities.
func (s setup) web() (*http.Client, error) {
	if s.ca == "" {
		return &http.Client{}, nil
	}
	pem, err := os.ReadFile(s.ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%q holds no certificate", s.ca)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}, nil
}

// versions are those of the stored metadata.
type versions struct {
	Root      int64 `json:"root"`
	Targets   int64 `json:"targets"`
	Snapshot  int64 `json:"snapshot"`
	Timestamp int64 `json:"timestamp"`
}

// updated is what an update brought.
type updated struct {
	versions
	Changed bool `json:"changed"`
}

// totals counts what all checked.
type totals struct {
	updated
	Count  int   `json:"count"`
	OK     int   `json:"ok"`
	Failed int   `json:"failed"`
	Bytes  int64 `json:"bytes"`
}

// target is a target that was accepted.
type target struct {
	Name   string `json:"name"`
	Length int64  `json:"length"`
}
