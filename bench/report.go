package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func mega(n int64) float64 { return float64(n) / 1e6 }

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// report renders everything as Markdown.
func (b *bench) report(w io.Writer) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n\n", b.machine())
	out.WriteString(b.tables())
	if len(b.rows) > 0 {
		b.cases(&out)
	}
	fmt.Fprintf(&out, "| goal | measured | met |\n|---|---|---|\n")
	for _, g := range b.goals {
		fmt.Fprintf(&out, "| %s | %s | %s |\n", g.what, g.measured, map[bool]string{true: "yes", false: "**no**"}[g.met])
	}
	for _, note := range b.notes {
		fmt.Fprintf(&out, "\n%s\n", note)
	}
	_, err := w.Write(out.Bytes())
	return err
}

// cases is the table of both sides.
func (b *bench) cases(out *bytes.Buffer) {
	fmt.Fprintf(out, "| case | fleetctl's calls, s | fleet-hsm, s | times as fast | processor, s | written, MB | peak memory, MB |\n|---|---|---|---|---|---|---|\n")
	for _, r := range b.rows {
		out.WriteString(r.markdown())
	}
	fmt.Fprintf(out, "\nTimes are medians (least-most). Processor time, bytes and memory: fleetctl's calls / fleet-hsm; memory is the highest of all runs.\n\n")
}

func (r row) markdown() string {
	times := ""
	if len(r.peer) > 0 && len(r.ours) > 0 {
		times = fmt.Sprintf("%.1f", ratio(r.peer, r.ours))
	}
	both := func(figure func(side) string) string {
		var parts []string
		for _, s := range []side{r.peer, r.ours} {
			if len(s) > 0 {
				parts = append(parts, figure(s))
			}
		}
		return strings.Join(parts, " / ")
	}
	cpu := both(func(s side) string { return fmt.Sprintf("%.2f", s.cpu().Seconds()) })
	written := both(func(s side) string { return fmt.Sprintf("%.1f", mega(s.written())) })
	peak := both(func(s side) string {
		if s.peak() == 0 {
			return ""
		}
		return fmt.Sprintf("%.0f", mega(s.peak()))
	})
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n", r.name, r.peer.seconds(), r.ours.seconds(), times, cpu, written, peak)
}

func (s side) seconds() string {
	if len(s) == 0 {
		return ""
	}
	least, most := s.span()
	return fmt.Sprintf("%.3f (%.3f-%.3f)", s.wall().Seconds(), least.Seconds(), most.Seconds())
}

// machine says where the figures come from, without naming a host or a path.
func (b *bench) machine() string {
	kind := "several pairs per case"
	if b.quick {
		kind = "few pairs per case (-quick)"
	}
	return fmt.Sprintf("Measured on %s: %d cores (%s), %s, Linux %s, Go %s; %s, both sides in turn.",
		time.Now().UTC().Format("2006-01-02"), runtime.NumCPU(), processor(), fileSystem(b.dir), kernel(),
		strings.TrimPrefix(runtime.Version(), "go"), kind)
}

func processor() string {
	content, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "of unknown version"
	}
	return unix.ByteSliceToString(name.Release[:])
}

// fileSystem names the kinds that people meet; the numbers are the kernel's.
func fileSystem(dir string) string {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return "unknown file system"
	}
	switch int64(stat.Type) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	}
	return fmt.Sprintf("file system 0x%x", stat.Type)
}
