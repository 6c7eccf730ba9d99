package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/user"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// logged is the transcript of one run of the tool.
type logged struct {
	command string
	begun   bool
}

// transcriptPath is the file of --transcript or of the configuration; "" for none.
func (a *app) transcriptPath() (string, error) {
	if a.transcriptFile != "" {
		return a.transcriptFile, nil
	}
	cfg, err := a.config()
	if err != nil || cfg.Transcript == "" {
		return "", err
	}
	return cfg.Beside(cfg.Transcript), nil
}

// startLog names the command and writes the start of it, before anything is touched:
// a ceremony whose log cannot be written does not begin.
func (a *app) startLog(command string) error {
	a.log.command = command
	return a.logEvent(ceremony.Event{})
}

// logEvent appends an event, after the start of this command if that is not written
// yet. An event without a kind is that start alone.
func (a *app) logEvent(e ceremony.Event) error {
	file, err := a.transcriptPath()
	if err != nil || file == "" {
		return err
	}
	if !a.log.begun {
		a.log.begun = true
		if err := a.logStart(file); err != nil {
			return err
		}
	}
	if e.Event == "" {
		return nil
	}
	return ceremony.Append(file, e)
}

// noted gives the versions that the transcript holds signatures over: a log that lies
// outside of the folder knows what an older copy of the folder does not.
func (a *app) noted() ([]repo.Noted, error) {
	file, err := a.transcriptPath()
	if err != nil || file == "" {
		return nil, err
	}
	signatures, err := ceremony.Signed(file)
	if err != nil {
		return nil, err
	}
	var noted []repo.Noted
	for _, e := range signatures {
		noted = append(noted, repo.Noted{Role: e.Role, Version: e.Version, KeyID: e.KeyID})
	}
	return noted, nil
}

func (a *app) logStart(file string) error {
	start := ceremony.Event{Event: ceremony.EventStart, Command: a.log.command, Person: loginName()}
	if name, err := os.Hostname(); err == nil {
		start.Machine = name
	}
	if err := ceremony.Append(file, start); err != nil {
		return err
	}
	if a.operatorNote == "" {
		return nil
	}
	return ceremony.Append(file, ceremony.Event{Event: ceremony.EventNote, Note: a.operatorNote})
}

// loginName is who runs this, "" if the system does not tell.
func loginName() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}

// endLog writes how the command ended, if it began a log.
func (a *app) endLog(err error, code int) {
	if !a.log.begun {
		return
	}
	e := ceremony.Event{Event: ceremony.EventEnd, Command: a.log.command, Outcome: fmt.Sprintf("exit %d", code)}
	if err != nil {
		e.Outcome += ": " + err.Error()
	}
	if err := a.logEvent(e); err != nil {
		a.warn("%v", err)
	}
}

// logCard notes what somebody was shown, or has given the hash of.
func (a *app) logCard(docs []*repo.Doc) error {
	for _, d := range docs {
		err := a.logEvent(ceremony.Event{Event: ceremony.EventCard, Role: d.Role(), Version: d.Version(), SHA256: d.Hash()})
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) logSignature(d *repo.Doc, key repo.Key, u signer.URI, sig []byte) error {
	return a.logEvent(ceremony.Event{
		Event: ceremony.EventSignature, Role: d.Role(), Version: d.Version(), SHA256: d.Hash(),
		KeyID: key.ID, Key: u.String(), Device: u.Token(), Signature: hex.EncodeToString(sig),
		Attestation: a.keys.AttestationDigest(key.ID),
	})
}

// logCommit cannot fail: what is published is published, whatever the log says.
func (a *app) logCommit(rel *repo.Release) {
	if err := a.logEvent(ceremony.Event{Event: ceremony.EventCommit, Published: rel.Versions()}); err != nil {
		a.warn("published, but not logged: %v", err)
	}
}
