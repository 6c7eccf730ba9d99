//go:build !linux

package file

import "io/fs"

func fixedMode(fs.FileInfo) bool { return false }
