package verify

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
)

// The four top-level roles, in the order a client reads them.
const (
	roleRoot      = "root"
	roleTimestamp = "timestamp"
	roleSnapshot  = "snapshot"
	roleTargets   = "targets"
)

func topLevel() []string {
	return []string{roleRoot, roleTimestamp, roleSnapshot, roleTargets}
}

// document is a metadata file, decoded as go-tuf v0.5.2 decodes it.
type document struct {
	file, role string
	raw        []byte
	canonical  []byte // what signatures cover
	signatures []signature
	header
	root    *rootBody
	meta    map[string]metaFile // timestamp, snapshot
	targets *targetsBody
}

type signature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

type header struct {
	Type        string `json:"_type"`
	SpecVersion string `json:"spec_version"`
	Version     int64  `json:"version"`
	Expires     string `json:"expires"`

	expires time.Time
}

type rootBody struct {
	ConsistentSnapshot bool                 `json:"consistent_snapshot"`
	Keys               map[string]*keyEntry `json:"keys"`
	Roles              map[string]*roleKeys `json:"roles"`
}

type keyEntry struct {
	Type   string          `json:"keytype"`
	Scheme string          `json:"scheme"`
	Value  json.RawMessage `json:"keyval"`
}

type roleKeys struct {
	KeyIDs    []string `json:"keyids"`
	Threshold int      `json:"threshold"`
}

type metaFile struct {
	Length  int64             `json:"length"`
	Hashes  map[string]string `json:"hashes"`
	Version int64             `json:"version"`
}

type targetFile struct {
	Length int64             `json:"length"`
	Hashes map[string]string `json:"hashes"`
	Custom json.RawMessage   `json:"custom"`
}

type targetsBody struct {
	Targets     map[string]*targetFile `json:"targets"`
	Delegations *delegations           `json:"delegations"`
}

type delegations struct {
	Keys  map[string]*keyEntry `json:"keys"`
	Roles []delegatedRole      `json:"roles"`
}

type delegatedRole struct {
	Name string `json:"name"`
	roleKeys
	Paths            []string `json:"paths"`
	PathHashPrefixes []string `json:"path_hash_prefixes"`
}

// decode turns bytes into a document; role says what it must be (a delegated role
// holds targets). Errors are *formError.
func decode(file, role string, raw []byte) (*document, error) {
	if err := scanJSON(raw); err != nil {
		return nil, err
	}
	var envelope struct {
		Signed     json.RawMessage `json:"signed"`
		Signatures []signature     `json:"signatures"`
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return nil, malformed(err)
	}
	if len(envelope.Signed) == 0 || envelope.Signed[0] != '{' {
		return nil, &formError{CodeMalformed, `there is no object "signed"`}
	}
	d := &document{file: file, role: role, raw: raw, signatures: envelope.Signatures}
	if bad := badNumber(envelope.Signed); bad != "" {
		return nil, &formError{CodeNumber, fmt.Sprintf("number %.40s is not an integer up to 2^53: deployed agents see another one, and signatures fail", bad)}
	}
	if err := json.Unmarshal(envelope.Signed, &d.header); err != nil {
		return nil, malformed(err)
	}
	if err := d.body(envelope.Signed); err != nil {
		return nil, err
	}
	var err error
	if d.canonical, err = canonical(envelope.Signed); err != nil {
		return nil, malformed(err)
	}
	return d, nil
}

func malformed(err error) error {
	return &formError{CodeMalformed, fmt.Sprintf("not the metadata it should be: %v", err)}
}

func (d *document) body(signed json.RawMessage) error {
	var into any
	switch d.role {
	case roleRoot:
		d.root = &rootBody{}
		into = d.root
	case roleTimestamp, roleSnapshot:
		into = &struct {
			Meta *map[string]metaFile `json:"meta"`
		}{&d.meta}
	default:
		d.targets = &targetsBody{}
		into = d.targets
	}
	if err := json.Unmarshal(signed, into); err != nil {
		return malformed(err)
	}
	return nil
}

// canonical is the message that signatures cover, made as go-tuf v0.5.2 makes it.
func canonical(signed json.RawMessage) (message []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("no canonical form: %v", r)
		}
	}()
	var decoded map[string]any
	if err := json.Unmarshal(signed, &decoded); err != nil {
		return nil, err
	}
	return cjson.EncodeCanonical(decoded)
}

// wantType is the _type that role's metadata has.
func wantType(role string) string {
	switch role {
	case roleRoot, roleTimestamp, roleSnapshot:
		return role
	}
	return roleTargets
}

// checkForm reports what can be seen without knowing any key.
func (w *walk) checkForm(d *document) {
	if d.Type != wantType(d.role) {
		w.errorf(CodeType, d.role, d.file, "_type is %q, want %q", d.Type, wantType(d.role))
	}
	if !specVersionForm(d.SpecVersion) {
		w.errorf(CodeSpecVersion, d.role, d.file, "spec_version is %q, want \"1.0\"", d.SpecVersion)
	}
	if d.Version < 1 {
		w.errorf(CodeVersion, d.role, d.file, "version is %d; versions begin at 1", d.Version)
	}
	w.checkExpires(d)
	w.checkCompact(d)
	w.checkKeyIDs(d)
	for _, s := range d.signatures {
		if _, err := hex.DecodeString(s.Sig); err != nil {
			w.errorf(CodeSignatureHex, d.role, d.file, "the signature of key %s is not hex: agents refuse the file", short(s.KeyID))
		}
	}
	seen := map[string]bool{}
	for _, s := range d.signatures {
		if seen[s.KeyID] {
			w.errorf(CodeSignatureDuplicate, d.role, d.file, "key %s has more than one signature", short(s.KeyID))
		}
		seen[s.KeyID] = true
	}
}

func specVersionForm(s string) bool {
	rest, ok := strings.CutPrefix(s, "1.0")
	if !ok || rest == "" {
		return ok
	}
	return regexp.MustCompile(`^\.[0-9]{1,4}$`).MatchString(rest)
}

func (w *walk) checkExpires(d *document) {
	quoted, _ := json.Marshal(d.Expires)
	if err := d.expires.UnmarshalJSON(quoted); err != nil || d.Expires == "" {
		w.errorf(CodeExpiresForm, d.role, d.file, "expires is %.60q: no client reads that", d.Expires)
		return
	}
	if !strings.HasSuffix(d.Expires, "Z") {
		w.warnf(CodeExpiresZone, d.role, d.file, "expires is %s: write UTC with Z, python-tuf refuses offsets", d.Expires)
		return
	}
	if d.Expires != d.expires.UTC().Format("2006-01-02T15:04:05Z") {
		w.warnf(CodeExpiresForm, d.role, d.file, "expires is %s: write whole seconds", d.Expires)
	}
}

// checkCompact: only for targets does an agent compare what it stored with a hash.
func (w *walk) checkCompact(d *document) {
	stored, err := storedForm(d.raw)
	if err != nil || string(stored) == string(d.raw) {
		return
	}
	const why = "agents store it in another form"
	if wantType(d.role) == roleTargets {
		w.errorf(CodeNotCompact, d.role, d.file, "%s: %s, its hash no longer fits there, and with the server down lookups fail", looseness(d.raw), why)
		return
	}
	w.warnf(CodeNotCompact, d.role, d.file, "%s: %s", looseness(d.raw), why)
}

func looseness(raw []byte) string {
	if n := len(raw); raw[n-1] == '\n' && strings.Count(string(raw), "\n") == 1 {
		return "it ends in a newline"
	}
	if strings.ContainsAny(string(raw), "\n\t\r") {
		return "it is indented"
	}
	return "it holds spaces between values, or one of < > & not written as an escape"
}

// codeOf is the code of a *formError, or CodeMalformed.
func codeOf(err error) Code {
	var fe *formError
	if errors.As(err, &fe) {
		return fe.code
	}
	return CodeMalformed
}

func short(keyID string) string {
	if len(keyID) > 12 {
		keyID = keyID[:12] + ".."
	}
	return fmt.Sprintf("%q", keyID)
}
