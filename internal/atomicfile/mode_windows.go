package atomicfile

import (
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// setMode gives a file for its user alone an access list that takes nothing from its
// folder: full access for the user, the system and the administrators, nobody else. Other
// files keep what their folder gives them.
func setMode(f *os.File, perm fs.FileMode) error {
	if perm&0o077 != 0 {
		return nil
	}
	return keep(f.Name(), "")
}

// keepFolder keeps a folder, and what will be made in it, from others.
func keepFolder(dir string) error { return keep(dir, "OICI") }

func keep(path, inherit string) error {
	me, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return err
	}
	list, err := windows.SecurityDescriptorFromString(fmt.Sprintf("D:P(A;%[1]s;FA;;;%[2]s)(A;%[1]s;FA;;;SY)(A;%[1]s;FA;;;BA)", inherit, me.User.Sid))
	if err != nil {
		return err
	}
	acl, _, err := list.DACL()
	if err != nil {
		return err
	}
	return windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT,
		windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, acl, nil)
}
