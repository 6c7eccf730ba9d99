package repo

import (
	"bytes"
	"fmt"
)

// ReadRoot parses a root.json that came from elsewhere, and checks that it is signed
// by itself. file is its name in errors. Errors: *MetadataError.
func ReadRoot(file string, data []byte) (*Root, error) {
	root, _, err := readRoot(file, data)
	return root, err
}

// ReadTargets parses a targets.json that came from elsewhere and checks that root's
// targets keys signed it. file is its name in errors. Errors: *MetadataError.
func ReadTargets(root *Root, file string, data []byte) (*Targets, error) {
	env, err := parseEnvelope(data)
	if err != nil {
		return nil, &MetadataError{File: file, Err: err}
	}
	if err := verifyRole(root, RoleTargets, file, env); err != nil {
		return nil, err
	}
	t, err := parseTargets(env.text())
	if err != nil {
		return nil, &MetadataError{File: file, Err: err}
	}
	return t, nil
}

// FollowsRoot says why a root.json is not the next one after another, signed by the keys
// of both, nor the same one.
func FollowsRoot(before, after []byte) error {
	b, was, err := readRoot("root.json", before)
	if err != nil {
		return err
	}
	a, is, err := readRoot("root.json", after)
	if err != nil {
		return err
	}
	if a.Version() == b.Version() && bytes.Equal(was.signed, is.signed) {
		return nil
	}
	return follows("root.json", b, a, is)
}

// Accepts says why the keys that a root.json names for a role do not accept a file, nil if
// they do. Expiry is not looked at.
func Accepts(root []byte, role string, data []byte) error {
	r, err := ReadRoot("root.json", root)
	if err != nil {
		return err
	}
	env, err := parseEnvelope(data)
	if err != nil {
		return &MetadataError{File: role + ".json", Err: err}
	}
	return verifyRole(r, role, role+".json", env)
}

// AcceptsCold says why the keys that a targets.json names for a role below it do not accept
// a file, nil if they do, or if the role is of a form that is not ours. Expiry is not
// looked at.
func AcceptsCold(targets []byte, role string, data []byte) error {
	env, err := parseEnvelope(targets)
	if err != nil {
		return &MetadataError{File: "targets.json", Err: err}
	}
	t, err := parseTargets(env.text())
	if err != nil {
		return &MetadataError{File: "targets.json", Err: err}
	}
	file, err := parseEnvelope(data)
	if err != nil {
		return &MetadataError{File: role + ".json", Err: err}
	}
	return (&Published{Targets: t}).checkColdSignatures(role, role+".json", file)
}

// NumberedTargets is one N.targets.json, for its history.
type NumberedTargets struct {
	Version int64
	Targets *Targets // nil if the file cannot be read
	Err     error
}

// History reads every N.targets.json that is kept, ascending, and the published one
// if it has no numbered copy (flat layout). Signatures are not checked: the keys of
// old versions may be gone from root. What cannot be read is listed with its error.
func (r *Repo) History(p *Published) ([]NumberedTargets, error) {
	lists, err := r.numbered()
	if err != nil {
		return nil, err
	}
	var out []NumberedTargets
	current := false
	for _, n := range lists[RoleTargets] {
		t, err := r.readNumbered(RoleTargets, n)
		if err == nil && t.Version() != n {
			t, err = nil, &MetadataError{File: "repository/" + versioned(n, "targets.json"), Reason: fmt.Sprintf("is version %d", t.Version())}
		}
		current = current || n == p.Targets.Version()
		out = append(out, NumberedTargets{Version: n, Targets: t, Err: err})
	}
	if !current {
		out = append(out, NumberedTargets{Version: p.Targets.Version(), Targets: p.Targets})
	}
	return out, nil
}
