//go:build unix

package owned

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// strangersFile says whose it is, unless it is the user's or root's.
func strangersFile(fi fs.FileInfo) string {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return "does not say whose it is"
	}
	if st.Uid == 0 || int(st.Uid) == os.Geteuid() {
		return ""
	}
	return "belongs to " + nameOf(strconv.Itoa(int(st.Uid)))
}

func nameOf(uid string) string {
	if u, err := user.LookupId(uid); err == nil {
		return fmt.Sprintf("user %s (%s)", uid, u.Username)
	}
	return "user " + uid
}

// othersWrite says how others may write to it, "" if they may not.
func othersWrite(path string, fi fs.FileInfo) string {
	perm := fi.Mode().Perm()
	if perm&0o022 == 0 || readOnly(path) {
		return ""
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if perm&0o002 == 0 && ok && !hasACL(path) && ownGroup(st.Gid) {
		return ""
	}
	return fmt.Sprintf("is writable by others (mode %04o)", perm)
}

// ownGroup reports whether a group has no member but the user and root. What is not in
// the files of this machine is not known, and so not the user's own.
func ownGroup(gid uint32) bool {
	if runtime.GOOS == "darwin" && (gid == 0 || gid == 80) {
		return true // wheel and admin may become root there
	}
	name, members, ok := groupOf(strconv.Itoa(int(gid)))
	if !ok {
		return false
	}
	mine := []string{"root"}
	if u, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
		mine = append(mine, u.Username)
	}
	for _, entry := range entries("/etc/passwd") {
		if len(entry) > 3 && entry[3] == strconv.Itoa(int(gid)) {
			members = append(members, entry[0])
		}
	}
	return name != "" && !slices.ContainsFunc(members, func(m string) bool { return !slices.Contains(mine, m) })
}

func groupOf(gid string) (name string, members []string, ok bool) {
	for _, entry := range entries("/etc/group") {
		if len(entry) > 3 && entry[2] == gid {
			if entry[3] != "" {
				members = strings.Split(entry[3], ",")
			}
			return entry[0], members, true
		}
	}
	return "", nil, false
}

func entries(file string) [][]string {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	var out [][]string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		out = append(out, strings.Split(lines.Text(), ":"))
	}
	return out
}

// keepsOwners refuses a file system that has no owners of its own.
func (w *walk) keepsOwners() error {
	if kind := ownerless(w.at); kind != "" {
		return w.refuse(filepath.Dir(w.at), "is on a "+kind+" file system, which keeps no owners")
	}
	return nil
}
