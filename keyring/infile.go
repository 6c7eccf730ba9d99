package keyring

import (
	"crypto"
	"slices"

	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// InFile reports whether the configuration says that a key is in a file, or a dry run only
// stands in for it.
func (k *Ring) InFile(key meta.Key) bool {
	if _, standsIn := k.standIns[key.ID]; standsIn {
		return true
	}
	at, ok := k.opts.Config.Locations[key.ID]
	return ok && at.Kind().Sealed
}

// OnDevice reports whether the configuration says that it is on a device.
func (k *Ring) OnDevice(key meta.Key) bool {
	at, ok := k.opts.Config.Locations[key.ID]
	return ok && at.OnDevice()
}

// InFile reports whether this command has made the key in a file.
func (m *Maker) InFile(key meta.Key) bool {
	for _, made := range m.Made {
		if slices.ContainsFunc(made, func(pub crypto.PublicKey) bool { return signer.SamePublic(pub, key.Public) }) {
			return true
		}
	}
	return false
}
