package verify

import "context"

// Draft judges a metadata file that is about to be signed and published: its form, and
// what it says of keys and targets. Signatures, the files around it, and expiry are left
// out. role is root or targets; consistent is what the root in force says.
func Draft(role string, consistent bool, file []byte) []Finding {
	w := newWalk(context.Background(), Options{MetadataOnly: true}, newCache(&folder{}))
	d := w.decode(role+".json", role, file)
	switch {
	case d == nil:
	case d.root != nil:
		w.checkKeysOf(d)
	case d.targets != nil:
		w.trusted = &document{root: &rootBody{ConsistentSnapshot: consistent}}
		w.collect(d)
	}
	w.report.sort()
	return w.report.Findings
}
