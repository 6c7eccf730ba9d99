//go:build cgo && linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/online"
	"github.com/fleet-hsm/fleet-hsm/watch"
)

// allMetrics are the names of the metrics of online and of watch.
func allMetrics() names {
	known := names{}
	online.NewMetrics(known, nil)
	watch.NewMetrics(known, time.Now)
	return known
}

// TestAlertsFire lets Prometheus play what each alert is for: it fires then, and not before.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rules := readDoc(t, "docs", "alerts.yaml")
	// What an alert says to people is not what is tested.
	bare := regexp.MustCompile(`        annotations:\n(          .*\n)+`).ReplaceAllString(rules, "")
	test := readDoc(t, "cmd", "fleet-hsm", "testdata", "alerts_test.yaml")
	for name, text := range map[string]string{"alerts.yaml": bare, "test.yaml": test} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("promtool", "test", "rules", filepath.Join(dir, "test.yaml")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		if !regexp.MustCompile(`alertname: ` + m[1] + `\n +exp_alerts:\n`).MatchString(test) {
			t.Errorf("no test lets %s fire", m[1])
		}
	}
	for _, k := range watch.Kinds() {
		if !strings.Contains(test, `kind="`+string(k.Kind)+`"`) {
			t.Errorf("no alert is tested for what the watch calls %s", k.Kind)
		}
		if !strings.Contains(readDoc(t, "docs", "watch.md"), "`"+string(k.Kind)+"`") {
			t.Errorf("docs/watch.md says nothing of %s", k.Kind)
		}
	}
}

// TestDashboard holds packaging/grafana/fleet-hsm.json: every metric exists, every one is
// shown, and Prometheus can parse what is asked.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var board struct {
		Panels []struct {
			Title   string
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(readDoc(t, "packaging", "grafana", "fleet-hsm.json")), &board); err != nil {
		t.Fatal(err)
	}
	known, shown := allMetrics(), map[string]bool{}
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	n := 0
	for _, p := range board.Panels {
		if p.Type != "row" && len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q asks for nothing, or sticks out", p.Title)
		}
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$job", ".*").Replace(target.Expr)
			for _, name := range regexp.MustCompile(`fleet_hsm_\w+`).FindAllString(expr, -1) {
				name = strings.TrimSuffix(name, "_bucket")
				shown[name] = true
				if !known[name] {
					t.Errorf("panel %q shows %s, which does not exist", p.Title, name)
				}
			}
			fmt.Fprintf(&rules, "      - record: panel:%d\n        expr: %q\n", n, expr)
			n++
		}
	}
	for name := range known {
		if !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("promtool", "check", "rules", file).CombinedOutput(); err != nil || n < 15 {
		t.Errorf("%d expressions: %v\n%s", n, err, out)
	}
}
