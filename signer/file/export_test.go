package file

// New makes the backend that the tool has.
func New(dir string) *Backend { return Kind().New(dir, nil).(*Backend) }

// ParseForFuzz runs what reads a key file, short of the expensive key derivation, and
// the plaintext's parser on the same bytes.
func ParseForFuzz(data []byte) {
	if p, err := parsePersisted("f", data); err == nil {
		_ = checkKDF(goTUF{}, "f", p.Data)
		if keys, err := parseKeys("f", p.Data); err == nil {
			_ = privates("f", keys)
		}
	}
	if keys, err := parseKeys("f", data); err == nil {
		_ = privates("f", keys)
	}
}
