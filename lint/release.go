package lint

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
)

// Item is a file of a release.
type Item struct {
	Name     string // component
	Platform string
	Path     string // the source file's
	Size     int64
	// R holds the content. It is read if another item has the same size and SHA512
	// is not given.
	R io.ReaderAt
	// SHA512 is the content's hash in hex, if the caller knows it.
	SHA512 string
}

// Release looks at files together: one component and platform twice, and the same
// bytes under two platforms or components. It does not do what [File] does.
func Release(items []Item) []Finding {
	var findings []Finding
	sums := make([]string, len(items))
	for i := range items {
		for j := range i {
			findings = append(findings, compare(items, sums, j, i)...)
		}
	}
	return findings
}

func compare(items []Item, sums []string, i, j int) []Finding {
	a, b := items[i], items[j]
	tell := func(c Code, s Severity, format string, args ...any) []Finding {
		return []Finding{{c, s, b.Name, b.Platform, b.Path, fmt.Sprintf(format, args...)}}
	}
	if a.Name == b.Name && a.Platform == b.Platform {
		return tell(CodeTwice, Error, "%s for %s is in the release twice, the other is %q", a.Name, a.Platform, a.Path)
	}
	if a.Size != b.Size || a.Size == 0 {
		return nil
	}
	for _, k := range []int{i, j} {
		if err := fill(items, sums, k); err != nil {
			return []Finding{{CodeUnreadable, Error, items[k].Name, items[k].Platform, items[k].Path, fmt.Sprintf("reading: %v", err)}}
		}
	}
	if sums[i] != sums[j] {
		return nil
	}
	if a.Name == b.Name {
		return tell(CodeSameBytes, sameSeverity(b), "the same bytes as %s for %s, %q: two platforms never share a binary", a.Name, a.Platform, a.Path)
	}
	return tell(CodeSameBytes, Warning, "the same bytes as %s for %s, %q", a.Name, a.Platform, a.Path)
}

// sameSeverity: a script may serve two platforms, a binary of Fleet's never does.
func sameSeverity(i Item) Severity {
	if !expect(i.Name, i.Platform).known || !platformOf(i.Platform).known || i.R == nil {
		return Warning
	}
	prefix := make([]byte, min(i.Size, prefixSize))
	if n, _ := i.R.ReadAt(prefix, 0); n < len(prefix) {
		return Warning
	}
	if f := sniff(prefix).format; f.executable() || f == formatGzip {
		return Error
	}
	return Warning
}

// fill computes a sum once.
func fill(items []Item, sums []string, i int) error {
	if sums[i] != "" {
		return nil
	}
	if sums[i] = items[i].SHA512; sums[i] != "" || items[i].R == nil {
		if sums[i] == "" {
			sums[i] = fmt.Sprintf("unknown %d", i)
		}
		return nil
	}
	h := sha512.New()
	if _, err := io.Copy(h, io.NewSectionReader(items[i].R, 0, items[i].Size)); err != nil {
		return err
	}
	sums[i] = hex.EncodeToString(h.Sum(nil))
	return nil
}
