package workflow

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Transcript is the log of what one command signs and publishes.
type Transcript struct {
	// File gives the file that it is written to, "" for none.
	File func() (string, error)
	// Note is what the log is to say of this command besides; person who runs it.
	Note, Person func() string
	// Warn is told of what could not be logged any more.
	Warn func(format string, args ...any)

	Command string
	begun   bool
}

// Start names the command and writes the start of it, before anything is touched:
// a ceremony whose log cannot be written does not begin.
func (t *Transcript) Start(command string) error {
	t.Command = command
	return t.event(ceremony.Event{})
}

// event appends an event, after the start of this command if that is not written
// yet. An event without a kind is that start alone.
func (t *Transcript) event(e ceremony.Event) error {
	file, err := t.File()
	if err != nil || file == "" {
		return err
	}
	if !t.begun {
		t.begun = true
		if err := t.first(file); err != nil {
			return err
		}
	}
	if e.Event == "" {
		return nil
	}
	return ceremony.Append(file, e)
}

// Noted gives the versions that the transcript holds signatures over: a log that lies
// outside of the folder knows what an older copy of the folder does not.
func (t *Transcript) Noted() ([]repo.Noted, error) {
	file, err := t.File()
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

func (t *Transcript) first(file string) error {
	start := ceremony.Event{Event: ceremony.EventStart, Command: t.Command, Person: t.Person()}
	if name, err := os.Hostname(); err == nil {
		start.Machine = name
	}
	if err := ceremony.Append(file, start); err != nil {
		return err
	}
	if t.Note() == "" {
		return nil
	}
	return ceremony.Append(file, ceremony.Event{Event: ceremony.EventNote, Note: t.Note()})
}

// End writes how the command ended, if it began a log.
func (t *Transcript) End(err error, code int) {
	if !t.begun {
		return
	}
	e := ceremony.Event{Event: ceremony.EventEnd, Command: t.Command, Outcome: fmt.Sprintf("exit %d", code)}
	if err != nil {
		e.Outcome += ": " + err.Error()
	}
	if err := t.event(e); err != nil {
		t.Warn("%v", err)
	}
}

// review notes what somebody was shown, or has given the hash of.
func (t *Transcript) review(docs []*meta.Doc) error {
	for _, d := range docs {
		err := t.event(ceremony.Event{Event: ceremony.EventReview, Role: d.Role(), Version: d.Version(), SHA256: d.Hash()})
		if err != nil {
			return err
		}
	}
	return nil
}

// Signature notes a signature, and the SHA-256 of what proves where its key was born.
func (t *Transcript) Signature(d *meta.Doc, key meta.Key, u signer.URI, sig []byte, attestation string) error {
	return t.event(ceremony.Event{
		Event: ceremony.EventSignature, Role: d.Role(), Version: d.Version(), SHA256: d.Hash(),
		KeyID: key.ID, Key: u.String(), Device: u.Token(), Signature: hex.EncodeToString(sig),
		Attestation: attestation,
	})
}

// Unattended notes a signature that no review came before: one over a timestamp.
func (t *Transcript) Unattended(role string, version int64, message []byte, id tuf.KeyID, key, device string, sig []byte) error {
	sum := sha256.Sum256(message)
	return t.event(ceremony.Event{
		Event: ceremony.EventSignature, Role: role, Version: version, SHA256: hex.EncodeToString(sum[:]),
		KeyID: id, Key: key, Device: device, Signature: hex.EncodeToString(sig),
	})
}

// Commit cannot fail: what is published is published, whatever the log says.
func (t *Transcript) Commit(rel *repo.Release) {
	if err := t.event(ceremony.Event{Event: ceremony.EventCommit, Published: rel.Versions()}); err != nil {
		t.Warn("published, but not logged: %v", err)
	}
}
