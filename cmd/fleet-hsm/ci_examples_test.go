//go:build cgo && linux

package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/fleet-hsm/fleet-hsm/softhsm"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// TestCIExamples takes the steps out of docs/ci and runs them, as a runner would: each in a
// new shell (GitHub) or all in one (GitLab). Every variable comes from the file, or is one of
// the secrets that it names. The releases are followed by Fleet's client.
func TestCIExamples(t *testing.T) {
	t.Parallel()
	srv := s3test.Start(t)
	for name, steps := range map[string]func(t *testing.T, ci *runner) []string{"github-actions.yml": githubSteps, "gitlab-ci.yml": gitlabSteps} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := strings.TrimSuffix(name, ".yml")
			ci := newRunner(t, srv.URL(prefix))
			shown := ""
			for _, step := range steps(t, ci) {
				shown += ci.run(t, step)
			}
			if name == "gitlab-ci.yml" {
				keptTerminal(t, "ci.txt", "A release from CI, with keys in SoftHSM: the lines of docs/ci/gitlab-ci.yml.", shown,
					map[string]string{srv.URL(prefix): "s3://updates/fleet"})
			}
			ci.set("STORE", srv.URL(prefix))
			ci.run(t, `fleet-hsm verify "$STORE" --root root.json --all-targets`)
			served := filepath.Join(t.TempDir(), "served")
			check(t, os.Mkdir(served, 0o755))
			check(t, copyTree(filepath.Join(srv.Dir, s3test.Bucket, prefix), filepath.Join(served, "repository")))
			out, stderr, err := follow(served, filepath.Join(t.TempDir(), "agent"))
			if err != nil || !strings.Contains(out, `"targets": 2`) && !strings.Contains(out, `"targets":2`) {
				t.Errorf("the agent: %v\n%s%s", err, out, stderr)
			}
		})
	}
}

// runner is a CI machine with a checkout.
type runner struct {
	dir     string
	secrets map[string]string
	env     map[string]string
}

func (ci *runner) set(name, value string) { ci.env[name] = value }

// newRunner makes a repository whose root key is elsewhere, publishes it, and leaves what the
// examples want: three files in the checkout, and the secrets.
func newRunner(t *testing.T, store string) *runner {
	t.Helper()
	tok, err := softhsm.Make(filepath.Join(t.TempDir(), "hsm"), softhsm.Options{})
	check(t, err)
	home, dir := t.TempDir(), t.TempDir()
	config := fmt.Sprintf("pkcs11: {module: %s}\nsecrets: {\"pkcs11:token=fleet\": \"env:HSM_PIN\"}\n", tok.Module)
	check(t, os.WriteFile(filepath.Join(home, "fleet-hsm.yaml"), []byte(config), 0o644))
	pin, err := os.ReadFile(tok.PINFile())
	check(t, err)
	env := append(s3test.Env(), tok.Env(), "HSM_PIN="+strings.TrimSpace(string(pin)))
	for _, args := range [][]string{
		{"init", "--targets-key", tok.URI("targets"), "--snapshot-key", tok.URI("snapshot"), "--timestamp-key", tok.URI("timestamp"), "--generate", "--no-input"},
		{"publish", store},
	} {
		if r := hsm(t, env, append(args, "--path", home)...); r.code != 0 {
			t.Fatalf("%v: exit %d\n%s", args, r.code, r.stderr)
		}
	}
	for from, to := range map[string]string{"fleet-hsm.yaml": "fleet-hsm.yaml", "repository/root.json": "root.json"} {
		data, err := os.ReadFile(filepath.Join(home, from))
		check(t, err)
		check(t, os.WriteFile(filepath.Join(dir, to), data, 0o644))
	}
	check(t, os.WriteFile(filepath.Join(dir, "orbit"), append(binaryHeader("linux"), "orbit"...), 0o755))
	check(t, os.WriteFile(filepath.Join(dir, "release.yaml"), []byte("version: 1.2.3\nchannels: [edge]\ntargets:\n  - {name: orbit, platform: linux, file: orbit}\n"), 0o644))
	conf, err := os.ReadFile(tok.Conf)
	check(t, err)
	tokens := regexp.MustCompile(`(?m)^directories.tokendir = (.*)$`).FindStringSubmatch(string(conf))
	packed, err := exec.Command("tar", "-cz", "-C", tokens[1], ".").Output()
	check(t, err)
	ci := &runner{dir: dir, secrets: map[string]string{"TOKENS": base64.StdEncoding.EncodeToString(packed), "HSM_PIN": strings.TrimSpace(string(pin))}, env: map[string]string{}}
	for _, kv := range s3test.Env() {
		name, value, _ := strings.Cut(kv, "=")
		ci.secrets[name] = value
	}
	temp := t.TempDir()
	ci.env = map[string]string{"RUNNER_TEMP": temp, "GITHUB_ENV": filepath.Join(temp, "env"), "GITHUB_STEP_SUMMARY": filepath.Join(temp, "summary")}
	ci.set("THE_STORE", store)
	return ci
}

// take adds the variables of an example. The store is the test's own.
func (ci *runner) take(t *testing.T, vars map[string]string) {
	t.Helper()
	for name, value := range vars {
		if m := regexp.MustCompile(`^\$\{\{ secrets\.(\w+) \}\}$`).FindStringSubmatch(value); m != nil {
			secret, ok := ci.secrets[m[1]]
			if !ok {
				t.Fatalf("the example wants a secret %s", m[1])
			}
			value = secret
		}
		if name == "STORE" {
			value = ci.env["THE_STORE"]
		}
		ci.env[name] = value
	}
}

func githubSteps(t *testing.T, ci *runner) []string {
	t.Helper()
	var file struct {
		Jobs map[string]struct {
			Env   map[string]string
			Steps []struct {
				Uses, Run string
				Env       map[string]string
			}
		}
	}
	check(t, yaml.Unmarshal([]byte(readDoc(t, "docs", "ci", "github-actions.yml")), &file))
	job := file.Jobs["publish"]
	ci.take(t, job.Env)
	var steps []string
	for _, s := range job.Steps {
		ci.take(t, s.Env)
		if s.Run != "" {
			steps = append(steps, s.Run)
		}
	}
	if len(steps) < 8 {
		t.Errorf("%d steps", len(steps))
	}
	return steps
}

func gitlabSteps(t *testing.T, ci *runner) []string {
	t.Helper()
	var file map[string]struct {
		Variables    map[string]string
		BeforeScript []string `yaml:"before_script"`
		Script       []string
	}
	check(t, yaml.Unmarshal([]byte(readDoc(t, "docs", "ci", "gitlab-ci.yml")), &file))
	job := file["publish"]
	ci.take(t, job.Variables)
	maps.Copy(ci.env, ci.secrets)
	lines := slices.Concat(job.BeforeScript, job.Script)
	if len(lines) < 12 {
		t.Errorf("%d lines", len(lines))
	}
	return []string{echoed(strings.Join(lines, "\n"))}
}

// run runs one step and gives what it shows, and takes what it adds to the environment of the next.
func (ci *runner) run(t *testing.T, step string) string {
	t.Helper()
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step)
	cmd.Dir = ci.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + ci.dir, "CI=true"}
	for name, value := range ci.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, step, out)
	}
	if bytes.Contains(out, []byte(ci.secrets["HSM_PIN"])) {
		t.Fatalf("the output shows the PIN:\n%s", out)
	}
	data, _ := os.ReadFile(ci.env["GITHUB_ENV"])
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		ci.set(name, value)
	}
	return string(out)
}
