package meta

import (
	"compress/gzip"
	"fmt"
)

// Weight is what an agent fetches of targets.json after a release, in bytes.
type Weight struct {
	Bytes int64 `json:"bytes"`
	Gzip  int64 `json:"gzip_bytes"`
}

// Weigh measures a file as a server sends it.
func Weigh(data []byte) (Weight, error) {
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

// Surplus is what an archiving would take out of targets.json: entries, and their bytes.
func (t *Targets) Surplus(re Retention) (entries int, size int64, err error) {
	rows, _, err := t.Rows()
	if err != nil {
		return 0, 0, err
	}
	for _, row := range re.Surplus(rows) {
		entries++
		size += int64(len(row.Path) + len(`"":,`) + len(t.entries[row.Path]))
	}
	return entries, size, nil
}

// manyTargets is from how many entries on targets.json is a burden to agents.
const manyTargets = 2000

// Heavy says what archiving would save, "" where targets.json is light or nothing would go.
func (t *Targets) Heavy(re Retention, size int64) string {
	if t.Len() < manyTargets {
		return ""
	}
	n, bytes, err := t.Surplus(re)
	if err != nil || n == 0 {
		return ""
	}
	return fmt.Sprintf("targets.json has %d targets (%d kB), which every agent fetches after each release and verifies four times a poll; \"fleet-hsm archive --keep %d\" would leave %d (about %d kB)",
		t.Len(), size/1000, re.Keep, t.Len()-n, max(1, (size-bytes)/1000))
}
