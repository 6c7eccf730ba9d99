package verify_test

import (
	"crypto/sha512"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// TestLarge hashes ten files; with FLEET_HSM_LONG=1 of 1 GB each, else of 1 MB. It
// logs what the second worker brings, and how sha512sum fares on the same files, in turn.
func TestLarge(t *testing.T) {
	size := int64(1 << 20)
	if os.Getenv("FLEET_HSM_LONG") != "" {
		size = 1 << 30
	}
	m := newMaker(t, false)
	m.files = map[string]string{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		m.files["orbit/linux/"+name+"/orbit"] = "x"
	}
	sum := sumOfZeros(t, size)
	m.edit["targets"] = func(signed map[string]any) {
		for _, v := range signed["targets"].(map[string]any) {
			entry := v.(map[string]any)
			entry["length"], entry["hashes"] = size, map[string]any{"sha512": sum}
		}
	}
	m.write()
	var names []string
	for name := range m.files {
		file := m.path("targets/" + name)
		names = append(names, file)
		if err := sparse(file, size); err != nil {
			t.Fatal(err)
		}
	}
	pass := func(workers int) time.Duration {
		began := time.Now()
		r := m.run(t, func(o *verify.Options) { o.Workers = workers })
		if len(r.Findings) > 0 || r.Bytes != 10*size {
			t.Fatalf("%d bytes\n%s", r.Bytes, list(r))
		}
		return time.Since(began)
	}
	peer := func() time.Duration {
		began := time.Now()
		if err := exec.Command("sha512sum", names...).Run(); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	pass(2) // fills the page cache, as far as it goes
	for range 3 {
		one, two, sum := pass(1), pass(2), peer()
		t.Logf("%d MB: one worker %v, two %v (%.2fx), sha512sum %v (%.2fx of two workers)", 10*size>>20,
			one, two, one.Seconds()/two.Seconds(), sum, sum.Seconds()/two.Seconds())
	}
}

// sparse makes a file of zeros that takes no room.
func sparse(file string, size int64) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return err
	}
	return os.Truncate(file, size)
}

func sumOfZeros(t *testing.T, size int64) string {
	file := filepath.Join(t.TempDir(), "zeros")
	if err := sparse(file, size); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}
