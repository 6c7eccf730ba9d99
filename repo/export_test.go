package repo

// Rehashed is how many bytes commits have read for their hash alone.
func (r *Repo) Rehashed() int64 { return r.rehashed }

// Decide is a commit that is cut off when its journal is written.
func (r *Repo) Decide(rel *Release) error {
	b, err := r.prepare(rel)
	if err == nil {
		_, err = b.decide(rel)
	}
	return err
}
