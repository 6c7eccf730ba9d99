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
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	h, err := windows.CreateFile(name, windows.WRITE_DAC, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return &fs.PathError{Op: "protecting", Path: path, Err: err}
	}
	defer func() { _ = windows.CloseHandle(h) }()
	err = windows.SetKernelObjectSecurity(h, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, list)
	if err != nil {
		return &fs.PathError{Op: "protecting", Path: path, Err: err}
	}
	return nil
}
