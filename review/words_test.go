package review

import (
	"strings"
	"testing"
)

// TestWords against the list's own vectors (BIP-39), and that one other digit is another
// word.
func TestWords(t *testing.T) {
	t.Parallel()
	for hash, want := range map[string]string{
		strings.Repeat("00", 32): strings.Repeat("abandon ", 23) + "art",
		strings.Repeat("7f", 32): "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title",
		strings.Repeat("ff", 32): strings.Repeat("zoo ", 23) + "vote",
		"abc":                    "",
	} {
		if got := Words(hash); got != want {
			t.Errorf("%s: %q, not %q", hash, got, want)
		}
	}
	if n := len(strings.Fields(Words(hash))); n != 24 || Words(hash) == Words("1"+hash[1:]) {
		t.Errorf("%d words: %s", n, Words(hash))
	}
}
