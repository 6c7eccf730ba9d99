package repo

// Rehashed is how many bytes commits have read for their hash alone.
func (r *Repo) Rehashed() int64 { return r.rehashed }
