package owned

import (
	"path/filepath"
	"unsafe" // an entry of an access list ends in a SID of any length

	"golang.org/x/sys/windows"
)

// Access is what others may do, in the bits of access lists.
type Access uint32

const (
	changes = windows.FILE_WRITE_DATA | windows.FILE_APPEND_DATA | windows.WRITE_DAC | windows.WRITE_OWNER |
		windows.DELETE | windows.GENERIC_WRITE | windows.GENERIC_ALL
	// Changes: to write to a file, to remove it, or to be let do so.
	Changes Access = changes
	// Uses: to read a file or to change it.
	Uses Access = changes | windows.FILE_READ_DATA | windows.GENERIC_READ
	// Replaces: to put another file in the place of one in a folder. To add files is not
	// among it, which everybody may do in many.
	Replaces Access = fileDeleteChild | windows.WRITE_DAC | windows.WRITE_OWNER | windows.DELETE | windows.GENERIC_ALL
)

// What x/sys/windows lacks: a right (winnt.h), and who installs Windows.
const (
	fileDeleteChild  = 0x40
	trustedInstaller = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
	ownerRights      = "S-1-3-4"
)

// check asks the access lists from the file up to the volume.
func check(path, full string, _ Options) (string, error) {
	resolved, err := filepath.EvalSymlinks(full)
	if err != nil {
		return "", err
	}
	what := Changes
	for at := resolved; ; at, what = filepath.Dir(at), Replaces {
		if filepath.Dir(at) == at {
			what &^= windows.DELETE // nobody removes a volume's root
		}
		who, err := Others(at, what)
		if err != nil {
			return "", err
		}
		if who != "" {
			return "", &Error{Path: path, Part: at, Why: "can be changed by " + who}
		}
		if filepath.Dir(at) == at {
			return resolved, nil
		}
	}
}

// Others names somebody besides the user, the system and the administrators who owns a
// file or folder or has some of an access to it; "" if there is nobody. An entry that
// denies is not weighed: it takes nothing back here.
func Others(path string, what Access) (who string, err error) {
	sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return "", err
	}
	me, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return "", err
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return "", err
	}
	if !trusted(owner, me.User.Sid) {
		return nameOf(owner) + ", whose it is", nil
	}
	list, _, err := sd.DACL()
	if err != nil || list == nil {
		return "everybody, since it has no access list", nil
	}
	for i := range uint32(list.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(list, i, &ace); err != nil {
			return "", err
		}
		sid := (*windows.SID)(unsafe.Pointer(&ace.SidStart))
		if allows(ace) && Access(ace.Mask)&what != 0 && !trusted(sid, me.User.Sid) {
			return nameOf(sid), nil
		}
	}
	return "", nil
}

// allows reports whether an entry gives access to the file itself: not to what will be
// made below it.
func allows(ace *windows.ACCESS_ALLOWED_ACE) bool {
	return ace.Header.AceType != windows.ACCESS_DENIED_ACE_TYPE && ace.Header.AceFlags&windows.INHERIT_ONLY_ACE == 0
}

func trusted(sid, me *windows.SID) bool {
	switch sid.String() {
	case trustedInstaller, ownerRights:
		return true
	}
	return sid.Equals(me) || sid.IsWellKnown(windows.WinLocalSystemSid) ||
		sid.IsWellKnown(windows.WinBuiltinAdministratorsSid) || sid.IsWellKnown(windows.WinCreatorOwnerSid)
}

func nameOf(sid *windows.SID) string {
	if account, domain, _, err := sid.LookupAccount(""); err == nil {
		return domain + `\` + account
	}
	return sid.String()
}
