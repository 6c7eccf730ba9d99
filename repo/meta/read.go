package meta

import (
	"bytes"
	"fmt"
)

// ReadRoot parses a root.json that came from elsewhere, and checks that it is signed
// by itself. file is its name in errors. Errors: *FileError.
func ReadRoot(file string, data []byte) (*Root, error) {
	root, _, err := OpenRoot(file, data)
	return root, err
}

// ReadTargets parses a targets.json that came from elsewhere and checks that root's
// targets keys signed it. file is its name in errors. Errors: *FileError.
func ReadTargets(root *Root, file string, data []byte) (*Targets, error) {
	env, err := ParseEnvelope(data)
	if err != nil {
		return nil, &FileError{File: file, Err: err}
	}
	if err := Verify(root, RoleTargets, file, env); err != nil {
		return nil, err
	}
	t, err := ParseTargets(env.Text())
	if err != nil {
		return nil, &FileError{File: file, Err: err}
	}
	return t, nil
}

// FollowsRoot says why a root.json is not the next one after another, signed by the keys
// of both, nor the same one.
func FollowsRoot(before, after []byte) error {
	b, was, err := OpenRoot("root.json", before)
	if err != nil {
		return err
	}
	a, is, err := OpenRoot("root.json", after)
	if err != nil {
		return err
	}
	if a.Version() == b.Version() && bytes.Equal(was.signed, is.signed) {
		return nil
	}
	return Follows("root.json", b, a, is)
}

// Accepts says why the keys that a root.json names for a role do not accept a file, nil if
// they do. Expiry is not looked at.
func Accepts(root []byte, role string, data []byte) error {
	r, err := ReadRoot("root.json", root)
	if err != nil {
		return err
	}
	env, err := ParseEnvelope(data)
	if err != nil {
		return &FileError{File: role + ".json", Err: err}
	}
	return Verify(r, role, role+".json", env)
}

// AcceptsCold says why the keys that a targets.json names for a role below it do not accept
// a file, nil if they do, or if the role is of a form that is not ours. Expiry is not
// looked at.
func AcceptsCold(targets []byte, role string, data []byte) error {
	env, err := ParseEnvelope(targets)
	if err != nil {
		return &FileError{File: "targets.json", Err: err}
	}
	t, err := ParseTargets(env.Text())
	if err != nil {
		return &FileError{File: "targets.json", Err: err}
	}
	file, err := ParseEnvelope(data)
	if err != nil {
		return &FileError{File: role + ".json", Err: err}
	}
	return t.CheckCold(role, role+".json", file)
}

// OpenRoot parses a root and checks that it is signed by itself.
func OpenRoot(file string, data []byte) (*Root, *Envelope, error) {
	env, err := ParseEnvelope(data)
	if err != nil {
		return nil, nil, &FileError{File: file, Err: err}
	}
	root, err := ParseRoot(env.Text())
	if err != nil {
		return nil, nil, &FileError{File: file, Reason: "clients refuse it", Err: err}
	}
	if err := Verify(root, RoleRoot, file, env); err != nil {
		return nil, nil, err
	}
	return root, env, nil
}

// Verify checks that the keys which root names for a role signed a file.
func Verify(root *Root, role, file string, env *Envelope) error {
	keys, need := root.Keys(role), root.Threshold(role)
	if have := len(env.Counted(keys)); have < need {
		return &FileError{File: file, Reason: fmt.Sprintf("%d of %d signatures verify with the %s keys of root v%d", have, need, role, root.Version())}
	}
	return nil
}

// Follows checks that a root is the next one after another and signed by it.
func Follows(file string, before, root *Root, env *Envelope) error {
	if root.Version() != before.Version()+1 {
		return &FileError{File: file, Reason: fmt.Sprintf("root v%d of the chain is followed by v%d", before.Version(), root.Version())}
	}
	if err := Verify(before, RoleRoot, file, env); err != nil {
		return fmt.Errorf("root v%d of the chain: %w", root.Version(), err)
	}
	return nil
}
