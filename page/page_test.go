package page

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/fleet-hsm/fleet-hsm/ceremony"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/status"
)

const day = 24 * time.Hour

func id(n int) tuf.KeyID {
	k, err := tuf.ParseKeyID(fmt.Sprintf("%064x", uint64(n+1)*0x9e3779b97f4a7c15))
	if err != nil {
		panic(err)
	}
	return k
}

func role(name string, version int64, now time.Time, left, usual, early time.Duration, threshold int, keys ...status.Key) status.Role {
	return status.Role{Role: name, Version: version, Expires: now.Add(left), DaysLeft: int(left.Hours() / 24), Threshold: threshold, Signed: threshold, Keys: keys, Left: left, Early: early, Usual: usual}
}

// example is a repository with some of everything, some of it by hostile hands.
func example(word string) Input {
	now := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	yubikey := func(n int, name string) status.Key {
		return status.Key{KeyID: id(n), Type: "ecdsa-sha2-nistp256", Name: name + word, Place: fmt.Sprintf("piv:serial=1583599%d;slot=9c", n), Proof: "attested", Signed: n < 2}
	}
	in := Input{Title: "fleet" + word, Now: now, Report: &status.Report{Roles: []status.Role{
		role("root", 5, now, 291*day, 365*day, 60*day, 2, yubikey(0, "blue YubiKey"), yubikey(1, "red YubiKey"), yubikey(2, "YubiKey in the safe")),
		role("targets", 142, now, 24*day, 365*day, 30*day, 1, yubikey(3, "release"), yubikey(4, "release, second")),
		role("snapshot", 142, now, 300*day, 365*day, 30*day, 1, status.Key{KeyID: id(5), Type: "ed25519", Place: "file:keys/snapshot.json", Signed: true}),
		role("timestamp", 1203, now, 9*day, 14*day, 3*day, 1, status.Key{KeyID: id(6), Type: "ecdsa-sha2-nistp256", Name: "datacenter HSM", Place: "pkcs11:token=fleet;object=timestamp", Signed: true}),
	}, Warnings: []string{"targets v142 expires in 24 days" + word}}, Next: []Next{{"fleet-hsm rotate targets --renew", "targets v142 expires in 24 days"}}, Transcript: true}
	for _, c := range []string{"desktop", "orbit", "osqueryd"} {
		for _, p := range []string{"linux", "macos", "windows"} {
			for i, ch := range []string{"edge", "stable", "1.42.1", "1.41.0", "1.40.2"} {
				in.Targets = append(in.Targets, meta.Row{Name: c + word, Platform: p, Channel: ch, Version: []string{"1.42.1", "1.41.0", "1.42.1", "1.41.0", "1.40.2"}[i], SHA512: c + p + fmt.Sprint(i%2), Length: 23_400_000 + int64(i*len(p)*100_000), Path: c + p + ch})
			}
		}
	}
	at := now.Add(-26 * time.Hour)
	in.Events = []ceremony.Event{
		{Event: ceremony.EventStart, Time: at, Command: "sign", Person: "alice" + word, Machine: "desk"},
		{Event: ceremony.EventSignature, Time: at, Role: "targets", Version: 142, KeyID: id(3), Key: "piv:serial=15835993;slot=9c"},
		{Event: ceremony.EventCommit, Time: at.Add(time.Minute), Published: map[string]int64{"targets": 142, "snapshot": 142, "timestamp": 1202}},
		{Event: ceremony.EventNote, Time: at.Add(2 * time.Minute), Note: "1.42.1 to edge" + word},
	}
	return in
}

func made(t testing.TB, in Input) string {
	t.Helper()
	data, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestHostileNames: what others wrote is shown as text, and never as a tag, an attribute, a
// style or a character that nobody sees.
func TestHostileNames(t *testing.T) {
	plain := elements(t, made(t, example("")))
	for _, word := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</style><style>*{display:none}</style>`, `' style='position:fixed`,
		"\u202Eevil", "\x1b[2J", "\x00", "{{.Style}}", `javascript:alert(1)`, "</title>", "&lt;b&gt;", strings.Repeat("Ω", 5000),
	} {
		text := made(t, example(word))
		if got := elements(t, text); got != plain {
			t.Errorf("%.40q: other elements\n%s\nthan\n%s", word, got, plain)
		}
		if strings.ContainsAny(text, "\u202e\x1b\x00") {
			t.Errorf("%.40q: it is there as it stands", word)
		}
	}
}

// elements lists tags and the names of attributes in order.
func elements(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF {
				t.Fatal(z.Err())
			}
			return b.String()
		case html.StartTagToken:
			tok := z.Token()
			b.WriteString(tok.Data)
			for _, a := range tok.Attr {
				b.WriteString(" " + a.Key)
			}
			b.WriteString("\n")
		}
	}
}

// TestNothingFromElsewhere: no script, no link out, no resource.
func TestNothingFromElsewhere(t *testing.T) {
	text := made(t, example(""))
	for _, bad := range []string{"<script", "http://", "https://", "url(", "@import", "<link", "<img", "<iframe", " on"} {
		if i := strings.Index(strings.ToLower(text), bad); i >= 0 && !strings.HasPrefix(text[i:], " on") {
			t.Errorf("%q: ..%.60s..", bad, text[i:])
		}
	}
	if !strings.Contains(text, `content="default-src 'none'; style-src 'unsafe-inline'"`) {
		t.Error("no policy")
	}
}

// TestReadableByAll stands for what a checker of pages would look at first. axe-core itself is
// an npm package, which cannot be had where this is built; run it in a browser's developer
// tools over a page of status --html if you have it. Looked at are: language,
// title, one h1, no level of headings left out, landmarks, headers of tables with their
// scope, names of regions, texts for bars, IDs once, targets of links.
func TestReadableByAll(t *testing.T) {
	doc, err := html.Parse(strings.NewReader(made(t, example(""))))
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	ids := map[string]int{}
	var links []string
	level := 0
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode {
			count[n.Data]++
			a := map[string]string{}
			for _, x := range n.Attr {
				a[x.Key] = x.Val
			}
			if a["id"] != "" {
				ids[a["id"]]++
			}
			switch {
			case n.Data == "html" && a["lang"] != "en", n.Data == "th" && a["scope"] == "", n.Data == "section" && a["aria-labelledby"] == "",
				n.Data == "nav" && a["aria-label"] == "", a["role"] != "" && a["aria-label"] == "", a["tabindex"] != "" && a["role"] != "region", n.Data == "time" && a["datetime"] == "":
				t.Errorf("<%s> %v lacks something", n.Data, a)
			case n.Data == "a":
				links = append(links, strings.TrimPrefix(a["href"], "#"))
			case len(n.Data) == 2 && n.Data[0] == 'h' && n.Data[1] >= '1' && n.Data[1] <= '6':
				l := int(n.Data[1] - '0')
				if l > level+1 {
					t.Errorf("h%d follows h%d", l, level)
				}
				level = l
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(doc)
	for tag, n := range map[string]int{"main": 1, "header": 1, "footer": 1, "nav": 1, "h1": 1, "title": 1} {
		if count[tag] != n {
			t.Errorf("%d <%s>", count[tag], tag)
		}
	}
	for _, l := range links {
		if ids[l] != 1 {
			t.Errorf("link to #%s, which is there %d times", l, ids[l])
		}
	}
	if len(links) < 6 || count["table"] < 4 {
		t.Errorf("%d links, %d tables", len(links), count["table"])
	}
}

// TestContrast: text has at least 4.5 to 1 against both grounds, light and dark (WCAG AA).
func TestContrast(t *testing.T) {
	sets := regexp.MustCompile(`:root \{([^}]*)\}`).FindAllStringSubmatch(style, -1)
	if len(sets) != 2 {
		t.Fatalf("%d sets of colours", len(sets))
	}
	for i, set := range sets {
		colour := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z]+): #([0-9a-f]{6})`).FindAllStringSubmatch(set[1], -1) {
			colour[m[1]] = luminance(t, m[2])
		}
		for _, name := range []string{"text", "muted", "link", "ok", "warn", "bad", "drill"} {
			for _, ground := range []string{"bg", "soft"} {
				a, b := colour[name], colour[ground]
				if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
					t.Errorf("set %d: %s on %s: %.1f", i, name, ground, ratio)
				}
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var sum float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.03928 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// large has 10,000 targets: in one component for each, or in many versions of few.
func large(wide bool) Input {
	in := example("")
	in.Targets = nil
	for i := range 10000 {
		r := meta.Row{Name: "orbit", Platform: fmt.Sprint("linux", i%5), Channel: fmt.Sprintf("1.%d.0", i/5), Version: fmt.Sprintf("1.%d.0", i/5), SHA512: fmt.Sprint(i), Length: 20_000_000, Path: fmt.Sprint(i)}
		if wide {
			r.Name, r.Channel = strings.Repeat(fmt.Sprintf("extension%d", i), 12), fmt.Sprintf("channel%d", i%100)
		}
		in.Targets = append(in.Targets, r)
	}
	for i := range 5000 {
		in.Events = append(in.Events, ceremony.Event{Event: ceremony.EventNote, Time: in.Now, Note: strings.Repeat("long ", i%500)})
		in.Warnings = append(in.Warnings, strings.Repeat("long ", i%200))
	}
	return in
}

// TestSizeIsBounded: 10,000 targets stay under 200 kB. BenchmarkMake says how long they take.
func TestSizeIsBounded(t *testing.T) {
	for _, wide := range []bool{false, true} {
		in := large(wide)
		if n := len(made(t, in)); n > MaxSize {
			t.Errorf("wide %v: %d bytes", wide, n)
		}
	}
}

// BenchmarkMake is the page of 10,000 targets.
func BenchmarkMake(b *testing.B) {
	in := large(false)
	for b.Loop() {
		b.ReportMetric(float64(len(made(b, in))), "bytes")
	}
}

// TestWhatIsSaid: the words that matter.
func TestWhatIsSaid(t *testing.T) {
	text := made(t, example(""))
	for _, want := range []string{
		"targets expires soon", "291 days left", "One can be lost. If two are, agents can never be led to a new root.",
		"24 days left", "45 targets, 18 distinct files", "targets v142 signed", "renew timestamp v1203", "targets v142 expires",
	} {
		if !strings.Contains(stripped(text), want) {
			t.Errorf("not there: %q", want)
		}
	}
}

// stripped is the text without tags.
func stripped(text string) string {
	return string(bytes.TrimSpace(regexp.MustCompile(`<[^>]*>`).ReplaceAll([]byte(text), nil)))
}
