package meta_test

import (
	"fmt"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
)

// TestChannels: words before numbers; versions only where they are asked for, or where there
// is nothing else; an empty cell where a component is in no such channel.
func TestChannels(t *testing.T) {
	rows := []meta.Row{
		{Name: "orbit", Platform: "linux", Channel: "1.1", Version: "1.1"},
		{Name: "orbit", Platform: "linux", Channel: "stable", Version: "1.1"},
		{Name: "orbit", Platform: "windows", Channel: "edge", Version: "1.2"},
		{Name: "orbit", Platform: "windows", Channel: "1.2", Version: "1.2"},
		{Name: "orbit", Platform: "windows", Channel: "1", Version: "1.2"},
	}
	for _, c := range []struct {
		rows     []meta.Row
		versions bool
		hidden   int
		want     string
	}{
		{rows, false, 2, `{[edge stable 1] [{orbit linux [ 1.1 ]} {orbit windows [1.2  1.2]}]}`},
		{rows, true, 0, `{[edge stable 1 1.1 1.2] [{orbit linux [ 1.1  1.1 ]} {orbit windows [1.2  1.2  1.2]}]}`},
		{rows[:1], false, 0, `{[1.1] [{orbit linux [1.1]}]}`},
		{nil, false, 0, `{[] []}`},
	} {
		g, hidden := meta.Channels(c.rows, c.versions)
		if got := fmt.Sprint(g); got != c.want || hidden != c.hidden {
			t.Errorf("%s, %d hidden; want %s, %d", got, hidden, c.want, c.hidden)
		}
	}
}
