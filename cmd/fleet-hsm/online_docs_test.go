//go:build cgo && linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/online"
	"github.com/fleet-hsm/fleet-hsm/softhsm"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
	"github.com/fleet-hsm/fleet-hsm/watch"
)

func readDoc(t *testing.T, elem ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"..", ".."}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestOnlineDoc runs the ten commands of docs/online.md as they stand.
func TestOnlineDoc(t *testing.T) {
	t.Parallel()
	var commands []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(readDoc(t, "docs", "online.md"), -1) {
		commands = append(commands, m[1])
	}
	if len(commands) != 10 {
		t.Fatalf("docs/online.md has %d commands, not 10", len(commands))
	}
	module, err := softhsm.Module()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"softhsm2.conf": "directories.tokendir = " + tokens + "\nobjectstore.backend = file\nlog.level = ERROR\n",
		"pin":           "73519264\n", "so-pin": "90817263\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	script := echoed(strings.Join(commands, "")) + "kill -TERM $!\nwait $!\n"
	store := s3test.Start(t).URL("fleet")
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"+script)
	cmd.Dir = dir
	cmd.Env = append(append(append(os.Environ(), secretEnv()...), s3test.Env()...), "MODULE="+module,
		"STORE="+store, "LISTEN="+addr, "SOFTHSM2_CONF="+filepath.Join(dir, "softhsm2.conf"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if s := shows(string(out)); s != "" || strings.Contains(string(out), "73519264") {
		t.Fatalf("the output shows a secret:\n%s", out)
	}
	if !strings.Contains(string(out), `fleet_hsm_role_expiry_seconds{role="timestamp"}`) {
		t.Fatalf("no metrics:\n%s", out)
	}
	keptTerminal(t, "hsm.txt", "From an HSM and a bucket to a running signer: the commands of docs/online.md.", string(out),
		map[string]string{dir: "/srv/updates", store: "s3://updates/fleet", module: "/usr/lib/softhsm/libsofthsm2.so"})
}

// names collects the metrics that are registered with it.
type names map[string]bool

func (n names) Register(c prometheus.Collector) error {
	ch := make(chan *prometheus.Desc, 100)
	c.Describe(ch)
	close(ch)
	fq := regexp.MustCompile(`fqName: "([^"]*)"`)
	for d := range ch {
		n[fq.FindStringSubmatch(d.String())[1]] = true
	}
	return nil
}

func (n names) MustRegister(list ...prometheus.Collector) {
	for _, c := range list {
		_ = n.Register(c)
	}
}

func (n names) Unregister(prometheus.Collector) bool { return false }

type alertFile struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

// TestAlerts holds docs/alerts.yaml to the metrics that there are, and to a chapter
// for each alert in docs/online.md or docs/watch.md.
func TestAlerts(t *testing.T) {
	t.Parallel()
	var file alertFile
	if err := config.StrictYAML([]byte(readDoc(t, "docs", "alerts.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	known := allMetrics()
	metric := regexp.MustCompile(`fleet_hsm_\w+`)
	rules := 0
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			rules++
			used := metric.FindAllString(r.Expr, -1)
			if len(used) == 0 {
				t.Errorf("%s watches nothing", r.Alert)
			}
			for _, name := range used {
				if !known[name] {
					t.Errorf("%s watches %s, which does not exist", r.Alert, name)
				}
			}
			page := "online.md"
			if strings.HasPrefix(r.Alert, "FleetHSMWatch") {
				page = "watch.md"
			}
			if !strings.Contains(readDoc(t, "docs", page), "\n### "+r.Alert+"\n") {
				t.Errorf("docs/%s says nothing of %s", page, r.Alert)
			}
			if !strings.HasSuffix(r.Annotations["runbook_url"], "docs/"+page+"#"+strings.ToLower(r.Alert)) {
				t.Errorf("%s: runbook_url %q", r.Alert, r.Annotations["runbook_url"])
			}
		}
	}
	if rules == 0 {
		t.Fatal("no rules")
	}
}

// TestPromtool lets Prometheus judge the alert rules, and the names and help texts of
// the metrics.
func TestPromtool(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("promtool", "check", "rules", filepath.Join("..", "..", "docs", "alerts.yaml")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	reg := prometheus.NewRegistry()
	online.NewMetrics(reg, nil)
	watch.NewMetrics(reg, time.Now)
	srv := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	defer srv.Close()
	body, err := fetch(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = bytes.NewReader(body)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPackagedFlags looks at the command lines in packaging/: every flag exists.
func TestPackagedFlags(t *testing.T) {
	t.Parallel()
	flag := regexp.MustCompile(`(?m)(?:^|[\s"])--([a-z0-9][a-z0-9-]*)`)
	for name, command := range map[string]string{
		"systemd/fleet-hsm-online.service": "online", "kubernetes/deployment.yaml": "online",
		"systemd/fleet-hsm-timestamp.service": "timestamp", "kubernetes/cronjob.yaml": "timestamp",
		"systemd/fleet-hsm-watch.service": "watch",
	} {
		var lines []string
		for line := range strings.Lines(readDoc(t, "packaging", filepath.FromSlash(name))) {
			if !strings.HasPrefix(strings.TrimSpace(line), "#") {
				lines = append(lines, line)
			}
		}
		found := flag.FindAllStringSubmatch(strings.Join(lines, ""), -1)
		if len(found) < 4 {
			t.Errorf("%s: %d flags", name, len(found))
		}
		for _, m := range found {
			if err := hasFlag(command, m[1]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestPackagedDocs: what the program names for people to read is on their machine, and two
// replicas of the signer do not die with one.
func TestPackagedDocs(t *testing.T) {
	t.Parallel()
	packed := readDoc(t, "packaging", "nfpm.yaml") + readDoc(t, "scripts", "release")
	for _, want := range []string{"$STAGE/docs/, dst: /usr/share/doc/fleet-hsm/docs", `cp -r "$1"/docs/* "$1/packaging/grafana"`, "fleet-hsm-watch.service"} {
		if !strings.Contains(packed, want) {
			t.Errorf("the packages lack %s", want)
		}
	}
	if s := readDoc(t, "packaging", "kubernetes", "deployment.yaml"); !strings.Contains(s, "podAntiAffinity:") || !strings.Contains(s, "topologyKey: kubernetes.io/hostname") {
		t.Error("the replicas may run on one machine")
	}
}

func hasFlag(command, name string) error {
	root := newApp(os.Stdout, os.Stderr).command()
	cmd, _, err := root.Find([]string{command})
	if err != nil {
		return err
	}
	if lookup(cmd, name) {
		return nil
	}
	return fmt.Errorf("%s has no --%s", command, name)
}

func lookup(cmd *cobra.Command, name string) bool {
	return cmd.Flags().Lookup(name) != nil || cmd.InheritedFlags().Lookup(name) != nil
}
