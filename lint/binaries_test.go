package lint_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/binary"
	"strings"
)

// le and be put values one after the other.
func le(values ...any) []byte { return put(binary.LittleEndian, values) }
func be(values ...any) []byte { return put(binary.BigEndian, values) }

func put(order binary.ByteOrder, values []any) []byte {
	var out bytes.Buffer
	for _, v := range values {
		if err := binary.Write(&out, order, v); err != nil {
			panic(err)
		}
	}
	return out.Bytes()
}

// elfFile is an ELF executable with one segment of 16 bytes.
func elfFile(machine elf.Machine) []byte {
	ident := [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	header := le(elf.Header64{
		Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1,
		Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	})
	segment := le(elf.Prog64{Type: uint32(elf.PT_LOAD), Off: 120, Filesz: 16, Memsz: 16})
	return append(append(header, segment...), make([]byte, 16)...)
}

// peFile is a PE executable with one section of 16 bytes.
func peFile(machine uint16) []byte {
	dos := make([]byte, 64)
	copy(dos, "MZ")
	binary.LittleEndian.PutUint32(dos[0x3c:], 64)
	coff := le(pe.FileHeader{Machine: machine, NumberOfSections: 1})
	section := le(pe.SectionHeader32{Name: [8]uint8{'.', 't'}, SizeOfRawData: 16, PointerToRawData: 128})
	out := append(append(append(dos, "PE\x00\x00"...), coff...), section...)
	return append(out, make([]byte, 144-len(out))...)
}

// machoFile is a thin Mach-O executable with one segment of 16 bytes.
func machoFile(cpu macho.Cpu) []byte {
	header := le(macho.FileHeader{Magic: macho.Magic64, Cpu: cpu, Type: macho.TypeExec, Ncmd: 1, Cmdsz: 72}, uint32(0))
	segment := le(macho.Segment64{Cmd: macho.LoadCmdSegment64, Len: 72, Offset: 104, Filesz: 16})
	return append(append(header, segment...), make([]byte, 16)...)
}

// fatFile is a universal binary.
func fatFile(cpus ...macho.Cpu) []byte {
	header := be(macho.MagicFat, uint32(len(cpus)))
	offset := uint32(len(header) + 20*len(cpus))
	var body []byte
	for _, cpu := range cpus {
		thin := machoFile(cpu)
		header = append(header, be(cpu, uint32(0), offset+uint32(len(body)), uint32(len(thin)), uint32(0))...)
		body = append(body, thin...)
	}
	return append(header, body...)
}

// entry is one entry of an archive.
type entry struct {
	name string
	flag byte
	mode int64
	data []byte
}

func file(name string, data []byte) entry { return entry{name, tar.TypeReg, 0o755, data} }
func folder(name string) entry            { return entry{name, tar.TypeDir, 0o755, nil} }

func tarGz(entries ...entry) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.flag, Mode: e.mode, Size: int64(len(e.data))}
		if e.flag == tar.TypeSymlink || e.flag == tar.TypeLink {
			h.Linkname = "elsewhere"
		}
		if e.flag == tar.TypeXGlobalHeader {
			h = &tar.Header{Typeflag: e.flag, PAXRecords: map[string]string{"comment": "a commit"}}
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		if _, err := w.Write(e.data); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	if err := zip.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func gz(data string) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	zip.Write([]byte(data))
	zip.Close()
	return out.Bytes()
}

// desktop is an archive as Fleet's build makes it for Linux.
func desktop(machine elf.Machine, more ...entry) []byte {
	all := []entry{folder("fleet-desktop/"), file("fleet-desktop/fleet-desktop", elfFile(machine)), file("fleet-desktop/LICENSE", []byte("MIT"))}
	return tarGz(append(all, more...)...)
}

func macApp(inner string, data []byte) []byte {
	parts := strings.Split(inner, "/")
	return tarGz(folder(parts[0]+"/"), file(inner, data), file(parts[0]+"/Contents/Info.plist", []byte("<plist/>")))
}
