package lint

import (
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"math"
)

// checkWhole looks whether everything that the headers name lies in the file.
func (l *linter) checkWhole(r io.ReaderAt, size int64, f format) {
	end, err := endOf(r, size, f)
	if err != nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		l.cutOff(size)(CodeTruncated, "it is %s and ends within its headers: is it cut off?", f)
		return
	}
	if err != nil {
		// Loaders forgive more than the standard library understands.
		l.warnf(CodeCorrupt, "it is %s with headers that are not understood: %v", f, err)
		return
	}
	if end > uint64(size) {
		l.errorf(CodeTruncated, "it has %d bytes, and its headers speak of %d: is it cut off?", size, end)
	}
}

// endOf is the first byte behind everything that the headers name.
func endOf(r io.ReaderAt, size int64, f format) (end uint64, err error) {
	defer func() {
		// The parsers see bytes that anybody made.
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	section := io.NewSectionReader(r, 0, size)
	switch f {
	case formatELF:
		return endOfELF(section)
	case formatPE:
		return endOfPE(section)
	}
	return endOfMachO(section)
}

func endOfELF(r io.ReaderAt) (end uint64, err error) {
	file, err := elf.NewFile(r)
	if err != nil {
		return 0, err
	}
	for _, p := range file.Progs {
		end = max(end, add(p.Off, p.Filesz))
	}
	for _, s := range file.Sections {
		if s.Type != elf.SHT_NOBITS && s.Type != elf.SHT_NULL {
			end = max(end, add(s.Offset, s.FileSize))
		}
	}
	return end, nil
}

func endOfPE(r io.ReaderAt) (end uint64, err error) {
	file, err := pe.NewFile(r)
	if err != nil {
		return 0, err
	}
	for _, s := range file.Sections {
		if s.Offset != 0 {
			end = max(end, uint64(s.Offset)+uint64(s.Size))
		}
	}
	return end, nil
}

func endOfMachO(r io.ReaderAt) (end uint64, err error) {
	fat, err := macho.NewFatFile(r)
	if err == nil {
		for _, a := range fat.Arches {
			end = max(end, uint64(a.Offset)+uint64(a.Size))
		}
		return end, nil
	}
	if !errors.Is(err, macho.ErrNotFat) {
		return 0, err
	}
	file, err := macho.NewFile(r)
	if err != nil {
		return 0, err
	}
	for _, load := range file.Loads {
		if s, ok := load.(*macho.Segment); ok {
			end = max(end, add(s.Offset, s.Filesz))
		}
	}
	return end, nil
}

// add saturates: headers may hold anything.
func add(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
