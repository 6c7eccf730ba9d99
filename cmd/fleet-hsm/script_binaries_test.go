//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// binaryHeader is the smallest file that is an executable of a kind: headers, and
// bytes that are the file's own.
func binaryHeader(kind string) []byte {
	le := binary.LittleEndian
	elf := func(machine uint16) []byte {
		b := make([]byte, 64)
		copy(b, "\x7fELF\x02\x01\x01")
		le.PutUint16(b[16:], 2) // ET_EXEC
		le.PutUint16(b[18:], machine)
		le.PutUint32(b[20:], 1)
		le.PutUint16(b[52:], 64)
		return b
	}
	pe := func(machine uint16) []byte {
		b := make([]byte, 128)
		copy(b, "MZ")
		le.PutUint32(b[0x3c:], 64)
		copy(b[64:], "PE\x00\x00")
		le.PutUint16(b[68:], machine)
		return b
	}
	macho := func(cpu uint32) []byte {
		b := make([]byte, 32)
		le.PutUint32(b, 0xfeedfacf)
		le.PutUint32(b[4:], cpu)
		le.PutUint32(b[12:], 2) // MH_EXECUTE
		return b
	}
	switch kind {
	case "linux":
		return elf(62)
	case "linux-arm64":
		return elf(183)
	case "windows":
		return pe(0x8664)
	case "windows-arm64":
		return pe(0xaa64)
	case "macos":
		return macho(0x0100000c)
	}
	return nil
}

// cmdBinary makes an executable for a platform; the text at its end tells two of one
// platform apart.
func cmdBinary(ts *testscript.TestScript, args []string) {
	need(ts, args, 2, "binary PLATFORM FILE [TEXT]")
	head := binaryHeader(args[0])
	if head == nil {
		ts.Fatalf("no executable is known for %q", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), append(head, strings.Join(args[2:], " ")...), 0o755))
}

// cmdTarGz packs files under names; NAME=> is a symbolic link, NAME= of a name that
// ends in a slash a folder.
func cmdTarGz(ts *testscript.TestScript, args []string) {
	need(ts, args, 1, "targz FILE NAME=SOURCE...")
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, arg := range args[1:] {
		name, source, _ := strings.Cut(arg, "=")
		h, data := &tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeReg}, []byte(nil)
		switch {
		case source == ">":
			h.Typeflag, h.Linkname = tar.TypeSymlink, "elsewhere"
		case strings.HasSuffix(name, "/"):
			h.Typeflag = tar.TypeDir
		default:
			data = []byte(ts.ReadFile(source))
			h.Size = int64(len(data))
		}
		ts.Check(w.WriteHeader(h))
		_, err := w.Write(data)
		ts.Check(err)
	}
	ts.Check(w.Close())
	ts.Check(zip.Close())
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[0])), 0o755))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out.Bytes(), 0o644))
}
