package main

func (b *bench) rotateCases() error {
	base, err := b.generated(0)
	if err != nil {
		return err
	}
	for _, role := range []string{"root", "targets"} {
		sides, err := inTurn(b.pairs(true),
			func() (sample, error) {
				return b.fresh(base, func(d string) command { return b.onPeer(d, "rotate", role) })
			},
			func() (sample, error) {
				return b.fresh(base, func(d string) command { return b.onOurs(d, "rotate", role) })
			},
		)
		if err != nil {
			return err
		}
		b.add(row{"`rotate " + role + "`", sides[0], sides[1]})
	}
	return nil
}
