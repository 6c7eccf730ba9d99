package peer

import "fmt"

// Roots gives the signed root.json and a newline.
func Roots(dir string) ([]byte, error) {
	s, err := openStore(dir)
	if err != nil {
		return nil, err
	}
	meta, err := s.GetMeta()
	if err != nil {
		return nil, err
	}
	root, ok := meta["root.json"]
	if !ok {
		return nil, fmt.Errorf("no root.json in %q", dir)
	}
	return append(root, '\n'), nil
}
