package installer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/cavaliergopher/cpio"
)

// Tags that change when stand-ins become real files. Each keeps its length.
const (
	rpmSize, rpmFileSizes, rpmFileDigests    = 1009, 1028, 1035
	rpmDirIndexes, rpmBaseNames, rpmDirNames = 1116, 1117, 1118
	rpmPayloadDigest                         = 5092
	sigSize, sigPayloadSize, sigSHA256       = 1000, 1007, 273
)

// fillRPM writes an .rpm that was made of stand-ins with the real files in their place.
func fillRPM(made io.Reader, real standIns, spare *os.File, to io.Writer) error {
	b := bufio.NewReader(made)
	lead := make([]byte, rpmLead)
	if _, err := io.ReadFull(b, lead); err != nil {
		return err
	}
	signature, err := readRPMHeader(b, 8)
	if err != nil {
		return err
	}
	header, err := readRPMHeader(b, 1)
	if err != nil {
		return err
	}
	payload, err := fillPayload(b, real, spare)
	if err != nil {
		return err
	}
	if err := header.fill(payload); err != nil {
		return err
	}
	sum := sha256.Sum256(header.bytes)
	err = errors.Join(
		signature.number(sigSize, 0, int64(len(header.bytes))+payload.size),
		signature.number(sigPayloadSize, 0, payload.plain),
		signature.text(sigSHA256, 0, hex.EncodeToString(sum[:])))
	if err != nil {
		return err
	}
	if _, err := spare.Seek(0, io.SeekStart); err != nil {
		return err
	}
	pad := make([]byte, (8-len(signature.bytes)%8)%8)
	for _, r := range []io.Reader{bytes.NewReader(lead), bytes.NewReader(signature.bytes), bytes.NewReader(pad), bytes.NewReader(header.bytes), spare} {
		if _, err := io.Copy(to, r); err != nil {
			return err
		}
	}
	return nil
}

// payload is what a stream of real files came to.
type payload struct {
	digest string
	// size is packed, plain the sum of the files.
	size, plain int64
	files       map[string]payloadFile
}

type payloadFile struct {
	digest string
	size   int64
}

// fillPayload writes the payload with the real files to spare.
func fillPayload(made io.Reader, real standIns, spare *os.File) (*payload, error) {
	plain, err := gzip.NewReader(made)
	if err != nil {
		return nil, err
	}
	packed := sha256.New()
	z, err := gzip.NewWriterLevel(io.MultiWriter(spare, packed), gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	p := &payload{files: map[string]payloadFile{}}
	in, out := cpio.NewReader(plain), cpio.NewWriter(z)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		// A link's text is its body.
		var there io.Reader = in
		if h.Linkname != "" {
			there = bytes.NewReader([]byte(h.Linkname))
			h.Size = int64(len(h.Linkname))
		}
		was := h.Size
		body, err := real.open(path.Clean("/"+h.Name), there, &h.Size)
		if err != nil {
			return nil, err
		}
		w := &cpio.Header{Name: h.Name, Mode: h.Mode, Size: h.Size, Links: h.Links}
		if err := out.WriteHeader(w); err != nil {
			return nil, err
		}
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(out, sum), body)
		_ = body.Close()
		if err != nil {
			return nil, err
		}
		p.plain += n
		if h.Size != was {
			p.files[path.Clean("/"+h.Name)] = payloadFile{hex.EncodeToString(sum.Sum(nil)), h.Size}
		}
	}
	if err := errors.Join(out.Close(), z.Close()); err != nil {
		return nil, err
	}
	p.digest = hex.EncodeToString(packed.Sum(nil))
	p.size, err = spare.Seek(0, io.SeekCurrent)
	return p, err
}

// rpmHeader is a header as it stands in the file; values are changed in place.
type rpmHeader struct {
	bytes []byte
	index map[uint32]rpmEntry
	data  []byte // the values, within bytes
}

type rpmEntry struct{ Tag, Type, Offset, Count uint32 }

// number writes the i-th 32-bit number of a tag.
func (h *rpmHeader) number(tag uint32, i int, v int64) error {
	e, ok := h.index[tag]
	if !ok || e.Type != 4 || i >= int(e.Count) || v > 1<<31-1 {
		return fmt.Errorf("%w: tag %d does not take %d", errRPM, tag, v)
	}
	binary.BigEndian.PutUint32(h.data[int(e.Offset)+4*i:], uint32(v))
	return nil
}

func (h *rpmHeader) numberAt(tag uint32, i int) int {
	return int(binary.BigEndian.Uint32(h.data[int(h.index[tag].Offset)+4*i:]))
}

// textAt gives where the i-th text of a tag begins, and the text.
func (h *rpmHeader) textAt(tag uint32, i int) (int, string) {
	at := int(h.index[tag].Offset)
	for ; i > 0; i-- {
		at += bytes.IndexByte(h.data[at:], 0) + 1
	}
	return at, string(h.data[at : at+bytes.IndexByte(h.data[at:], 0)])
}

// text writes the i-th text of a tag over one of the same length.
func (h *rpmHeader) text(tag uint32, i int, s string) error {
	if _, ok := h.index[tag]; !ok {
		return fmt.Errorf("%w: no tag %d", errRPM, tag)
	}
	at, was := h.textAt(tag, i)
	if len(was) != len(s) {
		return fmt.Errorf("%w: tag %d is of another length", errRPM, tag)
	}
	copy(h.data[at:], s)
	return nil
}

// fill writes what the real files are.
func (h *rpmHeader) fill(p *payload) error {
	err := errors.Join(h.number(rpmSize, 0, p.plain), h.text(rpmPayloadDigest, 0, p.digest))
	for i := range int(h.index[rpmBaseNames].Count) {
		_, base := h.textAt(rpmBaseNames, i)
		_, dir := h.textAt(rpmDirNames, h.numberAt(rpmDirIndexes, i))
		if f, ok := p.files[path.Join(dir, base)]; ok {
			err = errors.Join(err, h.number(rpmFileSizes, i, f.size), h.text(rpmFileDigests, i, f.digest))
		}
	}
	return err
}
