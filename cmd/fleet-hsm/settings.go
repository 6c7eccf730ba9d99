package main

import (
	"github.com/spf13/pflag"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// givenSetting is the flag of a kind of key: --pkcs11-module.
type givenSetting struct {
	scheme, name string
	value        *string
}

// addSettings adds the flags that the kinds of key declare.
func (a *app) addSettings(f *pflag.FlagSet) {
	for _, k := range a.kinds {
		for _, s := range k.Settings {
			if s.Flag != "" {
				a.given = append(a.given, givenSetting{k.Scheme, s.Name, f.String(s.Flag, "", s.Usage)})
			}
		}
	}
}

// flagSettings are the settings that flags name.
func (a *app) flagSettings() signer.Settings {
	out := signer.Settings{}
	for _, g := range a.given {
		if *g.value != "" {
			out.Set(g.scheme, g.name, *g.value)
		}
	}
	return out
}

// settings are those that count: a flag goes before the configuration.
func (a *app) settings() (signer.Settings, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	out := a.flagSettings()
	for scheme, values := range cfg.Settings {
		for name, value := range values {
			if out.Get(scheme, name) == "" {
				out.Set(scheme, name, value)
			}
		}
	}
	return out, nil
}
