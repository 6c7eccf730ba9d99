package peer

import "fmt"

// shipped is what Fleet ships, per platform.
func shipped() []Target {
	return []Target{
		{Name: "orbit", Platform: "linux", File: "orbit"},
		{Name: "orbit", Platform: "linux-arm64", File: "orbit"},
		{Name: "orbit", Platform: "macos", File: "orbit"},
		{Name: "orbit", Platform: "windows", File: "orbit.exe"},
		{Name: "osqueryd", Platform: "linux", File: "osqueryd"},
		{Name: "osqueryd", Platform: "macos-app", File: "osqueryd.app.tar.gz"},
		{Name: "osqueryd", Platform: "windows", File: "osqueryd.exe"},
		{Name: "desktop", Platform: "linux", File: "desktop.tar.gz"},
		{Name: "desktop", Platform: "macos", File: "desktop.app.tar.gz"},
		{Name: "desktop", Platform: "windows", File: "fleet-desktop.exe"},
	}
}

// targets publishes Spec.Targets files: releases 1.0.0, 1.0.1, ... of everything
// shipped, the newest also as edge, the one before as stable.
func (g *generator) targets() error {
	left := g.spec.Targets
	publish := func(t Target, channel string) error {
		if left == 0 {
			return nil
		}
		left--
		script := fmt.Sprintf("#!/bin/sh\necho %s %s for %s\n", t.Name, t.Version, t.Platform)
		return g.repo.Add(t.path(channel), t.Version, []byte(script))
	}
	for release := 0; left > 0; release++ {
		for _, t := range shipped() {
			t.Version = fmt.Sprintf("1.0.%d", release)
			channels := []string{t.Version}
			switch release {
			case 0:
				channels = append(channels, "stable", "1.0")
			case 1:
				channels = append(channels, "edge")
			}
			for _, channel := range channels {
				if err := publish(t, channel); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
