package installer

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/arch"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/rpm"
)

// packagerOf gives nfpm's back end of a type.
func packagerOf(kind string) nfpm.Packager {
	switch kind {
	case Deb:
		return deb.Default
	case RPM:
		return rpm.DefaultRPM
	}
	return arch.Default
}

// info is what nfpm is told. It changes what it is given, so each package gets its own.
func (b *builder) info(kind, processor string, l *laid) (*nfpm.Info, nfpm.Packager, error) {
	info := &nfpm.Info{
		Name: packageName, Arch: processor, Platform: "linux", Version: b.version(kind, l), VersionSchema: "none",
		Section: "admin", Priority: "optional", Maintainer: maintainer, Description: description,
		Homepage: "https://fleetdm.com", License: "MIT", MTime: b.o.Built, DisableGlobbing: true,
	}
	for _, c := range l.contents {
		if c.Packager == "" || c.Packager == kind {
			own, about := *c, *c.FileInfo
			own.FileInfo = &about
			info.Contents = append(info.Contents, &own)
		}
	}
	// Agents replace their files; what compresses fast is what builds in a second.
	info.Deb.Compression, info.RPM.Compression = "gzip:1", "gzip:1"
	info.RPM.BuildHost, info.RPM.Group, info.RPM.Packager = "localhost", "System/Management", maintainer
	info.ArchLinux.Packager = maintainer
	if err := b.addScripts(kind, l, info); err != nil {
		return nil, nil, err
	}
	return info, packagerOf(kind), nil
}

func (b *builder) addScripts(kind string, l *laid, info *nfpm.Info) error {
	s := scriptsOf(kind)
	for _, one := range []struct {
		text string
		to   *string
	}{
		{s.postInstall, &info.Scripts.PostInstall}, {s.preRemove, &info.Scripts.PreRemove}, {s.postRemove, &info.Scripts.PostRemove},
		{s.postTrans, &info.RPM.Scripts.PostTrans}, {s.postUpgrade, &info.ArchLinux.Scripts.PostUpgrade},
	} {
		if one.text == "" {
			continue
		}
		l.n++
		name := filepath.Join(l.dir, fmt.Sprintf("script-%d", l.n))
		if err := os.WriteFile(name, []byte(one.text), 0o600); err != nil {
			return err
		}
		*one.to = name
	}
	return nil
}

// write makes a package. pacman's is made in a stream; for the others see standIn.
func (l *laid) write(kind string, info *nfpm.Info, packager nfpm.Packager, to io.Writer) error {
	if kind == Arch {
		return packager.Package(info, to)
	}
	real, err := l.standIn(info.Contents)
	if err != nil {
		return err
	}
	var made bytes.Buffer
	if err := packager.Package(info, &made); err != nil {
		return err
	}
	spare, err := os.CreateTemp(l.dir, "spare-")
	if err != nil {
		return err
	}
	defer func() { _, _ = spare.Close(), os.Remove(spare.Name()) }()
	if kind == Deb {
		return fillDeb(&made, real, spare, to)
	}
	return fillRPM(&made, real, spare, to)
}
