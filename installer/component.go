package installer

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/fleet-hsm/fleet-hsm/verify"
)

// Component is something that the agent keeps up to date.
type Component struct {
	Name     string `json:"name"`
	Platform string `json:"platform"`
	Channel  string `json:"channel"`
	// Version is the target's custom.version.
	Version string `json:"version"`

	file  string
	named verify.Named
}

// path is the target's, and where it lies below bin/.
func (c Component) path() string { return path.Join(c.Name, c.Platform, c.Channel, c.file) }

// platforms are the agent's names of Linux on a processor.
func platformOf(arch string) string {
	if arch == "arm64" {
		return "linux-arm64"
	}
	return "linux"
}

// components are those that an installer for arch holds, without their versions.
func (o *Options) components(arch string) []Component {
	all := []Component{
		{Name: "orbit", Channel: o.OrbitChannel, file: "orbit"},
		{Name: "osqueryd", Channel: o.OsquerydChannel, file: "osqueryd"},
	}
	if o.Desktop {
		all = append(all, Component{Name: "desktop", Channel: o.DesktopChannel, file: "desktop.tar.gz"})
	}
	for i := range all {
		all[i].Platform = platformOf(arch)
	}
	return all
}

// find looks a component up as an agent would.
func find(targets map[string]verify.Named, c Component) (Component, error) {
	named, ok := targets[c.path()]
	if !ok {
		return c, &Error{Kind: NoTarget, About: fmt.Sprintf("target %q", c.path()), Text: "is not published; " + offered(targets, c)}
	}
	if named.Version == "" {
		return c, &Error{Kind: NoVersion, About: fmt.Sprintf("target %q", c.path()), Text: "has no custom.version, and the agent's tools need one"}
	}
	c.named, c.Version = named, named.Version
	return c, nil
}

// offered says what there is instead.
func offered(targets map[string]verify.Named, c Component) string {
	channels := map[string]bool{}
	for name := range targets {
		parts := strings.Split(name, "/")
		if len(parts) == 4 && parts[0] == c.Name && parts[1] == c.Platform && parts[3] == c.file {
			channels[parts[2]] = true
		}
	}
	if len(channels) == 0 {
		return fmt.Sprintf("%s has no channel for %s", c.Name, c.Platform)
	}
	return fmt.Sprintf("%s for %s has %s", c.Name, c.Platform, strings.Join(slices.Sorted(maps.Keys(channels)), ", "))
}
