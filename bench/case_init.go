package main

func (b *bench) initCase() error {
	empty, err := b.folder()
	if err != nil {
		return err
	}
	sides, err := inTurn(b.pairs(false),
		func() (sample, error) { return b.fresh(empty, func(d string) command { return b.onPeer(d, "init") }) },
		func() (sample, error) { return b.fresh(empty, func(d string) command { return b.onOurs(d, "init") }) },
	)
	if err == nil {
		b.add(row{"`init`", sides[0], sides[1]})
	}
	return err
}
