package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// addDeletions fills Delete: target files and old versions of metadata that nothing
// published within the last Grace names. Times are the store's. Roots and the
// unversioned files are never among them, nor is anything outside of targets/ that
// is not named like old metadata.
func (p *UploadPlan) addDeletions(ctx context.Context) error {
	if p.remote.missing {
		return nil
	}
	var all []Info
	for info, err := range p.store.List(ctx, "") {
		if err != nil {
			return err
		}
		all = append(all, info)
	}
	limit := p.remote.date.Add(-p.o.Grace)
	named := map[string]bool{}
	var old []Info
	var err error
	if p.local.root.Consistent {
		old, err = p.sortVersions(ctx, all, limit, named)
	} else if !p.quietSince(all, limit) {
		p.Warnings = append(p.Warnings, "nothing is deleted: targets changed within the grace period, and the flat layout keeps no record of what it named before")
		return nil
	}
	if err != nil {
		return err
	}
	for target, m := range p.local.targets {
		addNames(named, p.local.root.Consistent, target, m)
	}
	for target, m := range p.remote.targets {
		addNames(named, p.remote.consistent, target, m)
	}
	for _, info := range all {
		if strings.HasPrefix(info.Name, "targets/") && !named[info.Name] && !info.Modified.After(limit) {
			old = append(old, info)
		}
	}
	for _, info := range old {
		p.Delete = append(p.Delete, Item{Name: info.Name, Size: info.Size, Change: "delete"})
	}
	return nil
}

func addNames(named map[string]bool, consistent bool, target string, m tuf.FileMeta) {
	for _, name := range targetNames(consistent, target, m) {
		named[name] = true
	}
}

// quietSince reports whether the published targets.json of the flat layout has been
// the one in force all the time since limit, and stays so.
func (p *UploadPlan) quietSince(all []Info, limit time.Time) bool {
	for _, it := range p.Items {
		if it.Step == StepTargets && p.o.Grace > 0 {
			return false
		}
	}
	for _, info := range all {
		if info.Name == "targets.json" {
			return !info.Modified.After(limit)
		}
	}
	return false
}

// version is one N.role.json in the store.
type version struct {
	number int64
	info   Info
}

// sortVersions tells versions that were in force after limit from older ones, which
// it returns, and adds what the former name to named.
func (p *UploadPlan) sortVersions(ctx context.Context, all []Info, limit time.Time, named map[string]bool) ([]Info, error) {
	var old []Info
	for file, versions := range p.versionsOf(all) {
		slices.SortFunc(versions, func(a, b version) int { return int(a.number - b.number) })
		inForce := p.inForce(file)
		for i, v := range versions {
			last := i == len(versions)-1
			if !last && v.number < inForce && !versions[i+1].info.Modified.After(limit) {
				old = append(old, v.info)
				continue
			}
			if err := p.nameTargets(ctx, file, v, named); err != nil {
				return nil, err
			}
		}
	}
	return old, nil
}

// versionsOf finds N.role.json of every role but root.
func (p *UploadPlan) versionsOf(all []Info) map[string][]version {
	found := map[string][]version{}
	for _, info := range all {
		if !versionedName().MatchString(info.Name) {
			continue
		}
		n, file, _ := strings.Cut(info.Name, ".")
		v, err := strconv.ParseInt(n, 10, 64)
		if err != nil || file == "root.json" || file == "timestamp.json" {
			continue
		}
		found[file] = append(found[file], version{v, info})
	}
	return found
}

// inForce is the lowest version of a file that must stay: the one that the published
// timestamp leads to, or ours if that is lower.
func (p *UploadPlan) inForce(file string) int64 {
	mine := p.local.versions[file]
	if file == "snapshot.json" {
		mine = p.local.snapshot.Version
	}
	if p.remote.same || p.remote.timestamp == nil {
		return mine
	}
	theirs := p.remote.snapshotMeta().Version
	if file != "snapshot.json" {
		if p.remote.snapshot == nil {
			return 0 // unknown: nothing of this role is old
		}
		theirs = p.remote.snapshot.Meta[file].Version
	}
	return min(mine, theirs)
}

// nameTargets adds the targets of a version that is or was in force.
func (p *UploadPlan) nameTargets(ctx context.Context, file string, v version, named map[string]bool) error {
	if file == "snapshot.json" {
		return nil
	}
	o, err := getIfThere(ctx, p.store, v.info.Name, tuf.MaxTargets)
	if err != nil || o == nil {
		return err
	}
	meta, err := parseMetadata(o.Data, roleTargets)
	if err != nil {
		return &MismatchError{Where: p.Store, Name: v.info.Name, Why: err.Error()}
	}
	for target, m := range meta.Targets {
		addNames(named, true, target, m)
	}
	return nil
}

// errChangedMeanwhile: somebody published while we did, so the list of what nobody
// needs may be wrong.
var errChangedMeanwhile = errors.New("another publish took place; nothing was deleted")

// prune deletes what the plan names, if the store is still as we left it.
func (p *UploadPlan) prune(ctx context.Context) (int, error) {
	if len(p.Delete) == 0 {
		return 0, nil
	}
	o, err := getIfThere(ctx, p.store, "timestamp.json", tuf.MaxTimestamp)
	if err != nil {
		return 0, err
	}
	if o != nil && !p.expected(o.Data) {
		return 0, fmt.Errorf("%w: %w", ErrPrecondition, errChangedMeanwhile)
	}
	deleted := make([]bool, len(p.Delete))
	err = parallel(ctx, p.workers(), len(p.Delete), func(ctx context.Context, i int) error {
		err := p.store.Delete(ctx, p.Delete[i].Name)
		deleted[i] = err == nil
		return err
	})
	n := 0
	for _, d := range deleted {
		if d {
			n++
		}
	}
	return n, err
}

// expected reports whether a timestamp names our snapshot, or the one that was there
// when we planned.
func (p *UploadPlan) expected(data []byte) bool {
	ts, err := parseMetadata(data, roleTimestamp)
	if err != nil {
		return false
	}
	m := ts.Meta["snapshot.json"]
	if m.Version == p.local.snapshot.Version && m.Fits(p.local.snapshotBytes) == nil {
		return true
	}
	before := p.remote.snapshotMeta()
	return p.unseen() && m.Version == before.Version && m.SameContent(before)
}
