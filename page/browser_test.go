//go:build linux

package page

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the pictures in docs/")

// chromium runs a headless browser on a page and gives what it prints.
func chromium(t *testing.T, file string, args ...string) string {
	t.Helper()
	args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
		"--user-data-dir=" + t.TempDir()}, append(args, "file://"+file)...)
	cmd := exec.Command("chromium", args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, errOut.String())
	}
	return out.String()
}

// schemes are what a reader's system wants, as blink has it.
func schemes() map[string]int { return map[string]int{"dark": 0, "light": 1} }

func scheme(n int) string { return fmt.Sprintf("--blink-settings=preferredColorScheme=%d", n) }

// TestInChromium: at the width of two phones and of a desktop, light and dark, nothing is
// wider than the window (tables scroll for themselves), and the ground is as the reader's
// system wants it.
func TestInChromium(t *testing.T) {
	inputs := []Input{example(""), example(strings.Repeat("Ω", 500)), large(true)}
	for name, n := range schemes() {
		var b strings.Builder
		b.WriteString("<!DOCTYPE html><body><pre id=out></pre>")
		var want []string
		ground := map[string]string{"dark": "rgb(13, 17, 23)", "light": "rgb(255, 255, 255)"}[name]
		for _, in := range inputs {
			for _, w := range []int{360, 390, 1280} {
				fmt.Fprintf(&b, `<iframe style="border:0;width:%dpx;height:800px" srcdoc="%s"></iframe>`, w, strings.NewReplacer("&", "&amp;", `"`, "&quot;").Replace(made(t, in)))
				want = append(want, fmt.Sprintf("%d=%d %s", w, w, ground))
			}
		}
		b.WriteString(`<script>onload=()=>{out.textContent=[...document.querySelectorAll("iframe")].map(f=>{const d=f.contentDocument.documentElement;return d.clientWidth+"="+d.scrollWidth+" "+f.contentWindow.getComputedStyle(f.contentDocument.body).backgroundColor}).join("; ")+" end"}</script>`)
		file := filepath.Join(t.TempDir(), "frames.html")
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		dom := chromium(t, file, "--window-size=1400,2600", scheme(n), "--virtual-time-budget=5000", "--dump-dom")
		got := regexp.MustCompile(`<pre id="out">([^<]*) end</pre>`).FindStringSubmatch(dom)
		if got == nil || got[1] != strings.Join(want, "; ") {
			t.Errorf("%s: %q", name, got)
		}
	}
	if *update {
		pictures(t)
	}
}

// pictures are those in docs/.
func pictures(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status.html")
	if err := os.WriteFile(file, []byte(made(t, example(""))), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, size := range []string{"desktop 1100,1000", "phone 500,900"} {
		device, window, _ := strings.Cut(size, " ")
		for name, n := range schemes() {
			shot, err := filepath.Abs(filepath.Join("..", "docs", "status-"+device+"-"+name+".png"))
			if err != nil {
				t.Fatal(err)
			}
			chromium(t, file, "--window-size="+window, "--screenshot="+shot, scheme(n))
		}
	}
}
