// Package polkit holds the rule that our packages install for pcscd, and this test of it.
package polkit

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// actions gives pcscd's, as pcsc-lite ships them (org.debian.pcsc-lite.policy), and one of
// another program: without a rule only somebody with a session at the machine may.
func actions() string {
	text := `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/PolicyKit/1.0/policyconfig.dtd">
<policyconfig>`
	for _, id := range []string{"org.debian.pcsc-lite.access_pcsc", "org.debian.pcsc-lite.access_card", "org.example.reboot"} {
		text += `<action id="` + id + `"><description>d</description><message>m</message><defaults>
<allow_any>no</allow_any><allow_inactive>no</allow_inactive><allow_active>yes</allow_active></defaults></action>`
	}
	return text + "</policyconfig>\n"
}

const bus = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
`

// ask runs polkit's daemon over folders of the test's own, in namespaces that end with it,
// and has it asked what pcscd asks when a process of each user connects.
const ask = `set -e
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /run/systemd/sessions /run/systemd/seats /run/systemd/users /run/systemd/machines
for f in passwd group; do mount --bind "$1/$f" /etc/$f; done
for f in rules.d actions; do mount --bind "$1/$f" /usr/share/polkit-1/$f; done
mount --bind "$1/none" /etc/polkit-1/rules.d
dbus-daemon --config-file="$1/bus.conf" --nofork --nopidfile &
until [ -S /run/dbus/system_bus_socket ]; do sleep 0.02; done
/usr/lib/polkit-1/polkitd --no-debug &
for uid in 64101 64102 64103 64104; do
  setpriv --reuid $uid --clear-groups sleep 60 &
  until [ "$(stat -c %u /proc/$!)" = $uid ]; do sleep 0.02; done # until then it is root, who may all
  for action in org.debian.pcsc-lite.access_pcsc org.debian.pcsc-lite.access_card org.example.reboot; do
    code=127
    while [ $code -gt 3 ]; do
      code=0
      pkcheck --action-id $action --process $! || code=$?
      [ $code -le 3 ] || sleep 0.02
    done
    echo "answer $uid $action $code"
  done
done
`

// users are those that polkit is asked about; the first has number 64101.
func users() []string {
	return []string{"fleet-hsm-online", "fleet-hsm-timestamp", "operator", "somebody"}
}

// TestRules asks polkit's own daemon (Debian package polkitd) who may use pcscd: without a
// rule nobody who has no session, with the packages' rule the users of our services, with
// that of the documents the members of the group. Neither lets anybody do anything else.
// pcscd with polkit asks the same two questions, and answers a no with 0x8010006A.
func TestRules(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("a polkit of its own needs root, and CI must run this test")
		}
		t.Skip("a polkit of its own needs root")
	}
	packaged, err := os.ReadFile("fleet-hsm.rules")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		rule string
		may  []string
	}{
		"no rule":         {"", nil},
		"packages":        {string(packaged), users()[:2]},
		"troubleshooting": {documented(t), users()[2:3]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := map[string]bool{}
			for _, user := range users() {
				for _, what := range []string{"access_pcsc", "access_card"} {
					want[user+" org.debian.pcsc-lite."+what] = slices.Contains(c.may, user)
				}
				want[user+" org.example.reboot"] = false
			}
			if got := answers(t, c.rule); !maps.Equal(got, want) {
				t.Errorf("polkit says %v, want %v", got, want)
			}
		})
	}
}

// documented is the rule that docs/troubleshooting.md has people write.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "/etc/polkit-1/rules.d/40-pcscd-users.rules <<'END'\n")
	rule, _, end := strings.Cut(rest, "END\n")
	if !ok || !end {
		t.Fatal("docs/troubleshooting.md has no rule")
	}
	return rule
}

func answers(t *testing.T, rule string) map[string]bool {
	t.Helper()
	dir := t.TempDir()
	passwd, group := "root:x:0:0::/:/bin/sh\n", "root:x:0:\npcscd-users:x:64100:operator\n"
	for _, system := range []string{"polkitd", "messagebus"} {
		out, err := exec.Command("getent", "passwd", system).Output()
		if err != nil {
			t.Fatalf("user %s (Debian packages polkitd, dbus): %v", system, err)
		}
		passwd += string(out)
	}
	for i, name := range users() {
		passwd += fmt.Sprintf("%s:x:%d:%[2]d::/:/bin/sh\n", name, 64101+i)
		group += fmt.Sprintf("%s:x:%d:\n", name, 64101+i)
	}
	for name, text := range map[string]string{
		"passwd": passwd, "group": group, "bus.conf": bus, "actions/test.policy": actions(), "rules.d/test.rules": rule, "none/x": "",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, "sh", "-c", ask, "sh", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &said)
	}
	may := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		var uid, code int
		var what string
		if n, _ := fmt.Sscanf(line, "answer %d %s %d", &uid, &what, &code); n == 3 {
			may[users()[uid-64101]+" "+what] = code == 0
		}
	}
	return may
}
