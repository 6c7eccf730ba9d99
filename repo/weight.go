package repo

import (
	"compress/gzip"
)

// Weight is what an agent fetches of targets.json after a release, in bytes.
type Weight struct {
	Bytes int64 `json:"bytes"`
	Gzip  int64 `json:"gzip_bytes"`
}

// weigh measures a file as a server sends it.
func weigh(data []byte) (Weight, error) {
	var n counter
	z := gzip.NewWriter(&n)
	if _, err := z.Write(data); err != nil {
		return Weight{}, err
	}
	err := z.Close()
	return Weight{Bytes: int64(len(data)), Gzip: int64(n)}, err
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// Weight is that of the published targets.json.
func (p *Published) Weight() (Weight, error) { return weigh(p.targetsData) }

// TargetsSize is the length of the published targets.json.
func (p *Published) TargetsSize() int64 { return int64(len(p.targetsData)) }

// Weight is that of the targets.json that the change would publish, but for signatures
// that it does not have yet.
func (c *Change) Weight() (Weight, error) {
	data, err := c.targetsDoc.env.bytes()
	if err != nil {
		return Weight{}, err
	}
	return weigh(data)
}

// Surplus is what an archiving would take out of targets.json: entries, and their bytes.
func (t *Targets) Surplus(re Retention) (entries int, size int64, err error) {
	rows, _, err := t.Rows()
	if err != nil {
		return 0, 0, err
	}
	for _, row := range re.surplus(rows) {
		entries++
		size += int64(len(row.Path) + len(`"":,`) + len(t.entries[row.Path]))
	}
	return entries, size, nil
}
