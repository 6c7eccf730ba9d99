package owned

import (
	"errors"

	"golang.org/x/sys/unix"
)

// readOnly reports whether nobody can write there, whatever the mode says: Kubernetes
// mounts its configuration so, with mode 0777.
func readOnly(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Flags&unix.ST_RDONLY != 0
}

// hasACL reports whether more than the group may be meant by the group's bits.
func hasACL(path string) bool {
	_, err := unix.Lgetxattr(path, "system.posix_acl_access", nil)
	return err == nil || !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP)
}

func ownerless(path string) string {
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil {
		return ""
	}
	switch uint32(st.Type) {
	case unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC:
		return "DOS"
	case unix.ISOFS_SUPER_MAGIC, unix.UDF_SUPER_MAGIC:
		return "CD or DVD"
	case 0x5346544e, 0x7366746e: // ntfs, ntfs3
		return "NTFS"
	}
	return ""
}
