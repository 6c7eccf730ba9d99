// Package judge is what the clients of go-tuf v0.7.0 and v2 have in common as programs:
// flags, output and exit codes. Each is a module of its own, since they need two versions
// of one library; this one needs none.
//
//	NAME --url URL --state DIR [--root FILE] [--ca FILE] COMMAND
//
//	update                    refresh the metadata
//	all [TARGET...]           update, then check every target in targets.json, and those
//	download TARGET [-o FILE] check a target; without -o, drop the bytes
//
// --root pins a root.json and is needed only while the state is empty. stdout holds
// one line of JSON, stderr the reason of a failure. Exit codes: 0 accepted, 1 refused
// or failed, 2 wrong use.
package judge

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

// Client is a TUF client on a repository and a folder of state.
type Client interface {
	Update() (Updated, error)
	// All checks what is named besides targets.json: that may lie in other roles.
	All(names []string) (Totals, error)
	Download(name, out string) (Target, error)
}

// Open makes a client from what the flags say.
type Open func(Setup) (Client, error)

// errUsage marks what the caller got wrong: exit 2.
var errUsage = errors.New("wrong use")

// Run is the program called name: it gives the exit code.
func Run(name string, open Open, args []string, stdout, stderr io.Writer) int {
	err := dispatch(name, open, args, stdout)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	if errors.Is(err, errUsage) {
		return 2
	}
	return 1
}

// Setup is what the flags say.
type Setup struct {
	URL, State, Root, CA string

	out     string   // of download
	targets []string // of download and all
}

func dispatch(name string, open Open, args []string, stdout io.Writer) error {
	s, command, err := parse(name, args)
	if err != nil {
		return err
	}
	c, err := open(s)
	if err != nil {
		return err
	}
	switch command {
	case "update":
		v, err := c.Update()
		return print(stdout, v, err)
	case "download":
		v, err := c.Download(s.targets[0], s.out)
		return print(stdout, v, err)
	}
	v, err := c.All(s.targets)
	return errors.Join(json.NewEncoder(stdout).Encode(v), err)
}

func print(w io.Writer, v any, err error) error {
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(v)
}

// parse takes flags before and behind the command and NAME.
func parse(name string, args []string) (s Setup, command string, err error) {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&s.URL, "url", "", "web root of the repository")
	fs.StringVar(&s.State, "state", "", "the client's folder")
	fs.StringVar(&s.Root, "root", "", "pinned root.json, for an empty state")
	fs.StringVar(&s.CA, "ca", "", "PEM file of the certificate authorities to trust")
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
	want := map[string]int{"update": 1, "all": len(words), "download": 2}
	if len(words) == 0 || want[words[0]] != len(words) || s.URL == "" || s.State == "" {
		return s, "", fmt.Errorf("%w: --url, --state and update, all [NAME...] or download NAME are required", errUsage)
	}
	s.targets = words[1:]
	return s, words[0], nil
}

// Web gives the HTTP client that trusts --ca, or the system's authorities.
func (s Setup) Web() (*http.Client, error) {
	if s.CA == "" {
		return &http.Client{}, nil
	}
	pem, err := os.ReadFile(s.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%q holds no certificate", s.CA)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}, nil
}

// Versions are those of the stored metadata.
type Versions struct {
	Root      int64 `json:"root"`
	Targets   int64 `json:"targets"`
	Snapshot  int64 `json:"snapshot"`
	Timestamp int64 `json:"timestamp"`
}

// Updated is what an update brought.
type Updated struct {
	Versions
	Changed bool `json:"changed"`
}

// Totals counts what All checked.
type Totals struct {
	Updated
	Count  int   `json:"count"`
	OK     int   `json:"ok"`
	Failed int   `json:"failed"`
	Bytes  int64 `json:"bytes"`
}

// Target is a target that was accepted.
type Target struct {
	Name   string `json:"name"`
	Length int64  `json:"length"`
}
