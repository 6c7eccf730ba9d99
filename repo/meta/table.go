package meta

import (
	"cmp"
	"slices"
)

// Row is one target path, taken apart.
type Row struct {
	Name     string `json:"name"`
	Platform string `json:"platform"`
	Channel  string `json:"channel"`
	File     string `json:"file"`
	Version  string `json:"version"`
	SHA512   string `json:"sha512"`
	Length   int64  `json:"length"`
	Path     string `json:"path"`
}

// Rows lists the targets whose paths have the form that agents ask for, sorted by
// name, platform and channel; others are the paths of another form.
func (t *Targets) Rows() (rows []Row, others []string, err error) {
	for _, p := range t.Paths() {
		name, platform, channel, file, ok := SplitPath(p)
		if !ok {
			others = append(others, p)
			continue
		}
		target, _, err := t.Get(p)
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, Row{Name: name, Platform: platform, Channel: channel, File: file,
			Version: target.Version, SHA512: target.SHA512, Length: target.Length, Path: p})
	}
	slices.SortFunc(rows, CompareRows)
	return rows, others, nil
}

// CompareRows orders as people read a table: a path would put linux-arm64 before linux.
func CompareRows(a, b Row) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.File, b.File))
}

// InChannel is Rows of one channel, reading only the entries that are in it.
func (t *Targets) InChannel(channel string) ([]Row, error) {
	var rows []Row
	for _, p := range t.Paths() {
		name, platform, ch, file, ok := SplitPath(p)
		if !ok || ch != channel {
			continue
		}
		target, _, err := t.Get(p)
		if err != nil {
			return nil, err
		}
		rows = append(rows, Row{Name: name, Platform: platform, Channel: ch, File: file,
			Version: target.Version, SHA512: target.SHA512, Length: target.Length, Path: p})
	}
	slices.SortFunc(rows, CompareRows)
	return rows, nil
}
