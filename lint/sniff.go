package lint

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// format is what a file is, by its first bytes.
type format string

const (
	formatNone   format = ""
	formatELF    format = "ELF (Linux)"
	formatMachO  format = "Mach-O (macOS)"
	formatPE     format = "PE (Windows)"
	formatGzip   format = "gzip"
	formatXar    format = "xar (.pkg)"
	formatScript format = "script"
	formatZip    format = "zip"
)

func (f format) executable() bool {
	return f == formatELF || f == formatMachO || f == formatPE
}

// prefixSize is as much of a file as headers may lie in.
const prefixSize = 64 << 10

// binaryFile is what the first bytes of a file say.
type binaryFile struct {
	format format
	// archs are the processors it runs on, as Go and Fleet call them; more than one
	// only in a fat Mach-O.
	archs []string
	// fault is why the header cannot be right.
	fault string
}

// sniff looks at the first bytes of a file (all of them, or prefixSize).
func sniff(prefix []byte) binaryFile {
	switch {
	case bytes.HasPrefix(prefix, []byte(elf.ELFMAG)):
		return sniffELF(prefix)
	case isMachO(prefix):
		return sniffMachO(prefix)
	case bytes.HasPrefix(prefix, []byte("MZ")):
		return sniffPE(prefix)
	case bytes.HasPrefix(prefix, []byte{0x1f, 0x8b}):
		return binaryFile{format: formatGzip}
	case bytes.HasPrefix(prefix, []byte("xar!")):
		return binaryFile{format: formatXar}
	case bytes.HasPrefix(prefix, []byte("#!")):
		return binaryFile{format: formatScript}
	case bytes.HasPrefix(prefix, []byte("PK\x03\x04")):
		return binaryFile{format: formatZip}
	}
	return binaryFile{}
}

func sniffELF(b []byte) binaryFile {
	f := binaryFile{format: formatELF}
	if len(b) < 20 {
		f.fault = "the file ends in its header"
		return f
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(b[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	machine := elf.Machine(order.Uint16(b[18:]))
	f.archs = []string{elfArch(machine)}
	return f
}

func elfArch(m elf.Machine) string {
	switch m {
	case elf.EM_X86_64:
		return "amd64"
	case elf.EM_AARCH64:
		return "arm64"
	case elf.EM_386:
		return "386"
	case elf.EM_ARM:
		return "arm"
	}
	return strings.ToLower(strings.TrimPrefix(m.String(), "EM_"))
}

// isMachO: a fat header has the magic of a Java class; those have a version number
// of 45 and more where a fat file has its few architectures.
func isMachO(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	magic := binary.BigEndian.Uint32(b)
	switch magic {
	case macho.Magic32, macho.Magic64:
		return true
	case macho.MagicFat:
		return binary.BigEndian.Uint32(b[4:]) < 45
	}
	little := binary.LittleEndian.Uint32(b)
	return little == macho.Magic32 || little == macho.Magic64
}

func sniffMachO(b []byte) binaryFile {
	f := binaryFile{format: formatMachO}
	if binary.BigEndian.Uint32(b) != macho.MagicFat {
		var order binary.ByteOrder = binary.LittleEndian
		if m := binary.BigEndian.Uint32(b); m == macho.Magic32 || m == macho.Magic64 {
			order = binary.BigEndian
		}
		f.archs = []string{machoArch(macho.Cpu(order.Uint32(b[4:])))}
		return f
	}
	count := int(binary.BigEndian.Uint32(b[4:]))
	const entry = 20 // cputype, cpusubtype, offset, size, align
	if len(b) < 8+count*entry {
		f.fault = "the file ends in its header"
		return f
	}
	for i := range count {
		f.archs = append(f.archs, machoArch(macho.Cpu(binary.BigEndian.Uint32(b[8+i*entry:]))))
	}
	return f
}

func machoArch(c macho.Cpu) string {
	switch c {
	case macho.CpuAmd64:
		return "amd64"
	case macho.CpuArm64:
		return "arm64"
	case macho.Cpu386:
		return "386"
	}
	return strings.ToLower(strings.TrimPrefix(c.String(), "Cpu"))
}

func sniffPE(b []byte) binaryFile {
	f := binaryFile{format: formatPE}
	if len(b) < 0x40 {
		f.fault = "the file ends in its header"
		return f
	}
	at := int64(binary.LittleEndian.Uint32(b[0x3c:]))
	if at+6 > int64(len(b)) {
		f.fault = "its PE header is not where it says"
		return f
	}
	if !bytes.Equal(b[at:at+4], []byte("PE\x00\x00")) {
		f.fault = "it has no PE header; a DOS program?"
		return f
	}
	f.archs = []string{peArch(binary.LittleEndian.Uint16(b[at+4:]))}
	return f
}

func peArch(machine uint16) string {
	switch machine {
	case pe.IMAGE_FILE_MACHINE_AMD64:
		return "amd64"
	case pe.IMAGE_FILE_MACHINE_ARM64:
		return "arm64"
	case pe.IMAGE_FILE_MACHINE_I386:
		return "386"
	}
	return fmt.Sprintf("machine %#x", machine)
}

// runsOn reports whether the file runs on a platform's processor.
func (f binaryFile) runsOn(p platform) bool {
	if p.arch != "" {
		return slices.Contains(f.archs, p.arch)
	}
	return slices.Contains(f.archs, "amd64") || slices.Contains(f.archs, "arm64")
}
