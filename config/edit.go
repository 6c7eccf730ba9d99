package config

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Location is where a key can be found, to be remembered.
type Location struct {
	KeyID     tuf.KeyID
	URI, Name string
}

// Remember keeps locations, here and in the file, with the settings that were given on the
// command line (a module), without which the next command would not find their keys.
func (c *Config) Remember(locations []Location, given signer.Settings) error {
	if len(locations) == 0 {
		return nil
	}
	first := signer.Settings{}
	locations = slices.Clone(locations)
	for i, l := range locations {
		u, err := c.kinds.Parse(l.URI)
		if err != nil {
			return err
		}
		u = c.settle(u, given, first)
		locations[i].URI = u.Typed()
		c.Locations[l.KeyID] = u
		if l.Name != "" {
			if c.Keys == nil {
				c.Keys = map[tuf.KeyID]Key{}
			}
			c.Keys[l.KeyID] = Key{URI: u.Typed(), Name: l.Name}
		}
	}
	return c.edit(func(doc *yaml.Node) {
		for _, scheme := range slices.Sorted(maps.Keys(first)) {
			for _, name := range slices.Sorted(maps.Keys(first[scheme])) {
				c.Settings.Set(scheme, name, first[scheme][name])
				setScalar(mapValue(doc, scheme), name, first[scheme][name])
			}
		}
		keys := mapValue(doc, "keys")
		for _, l := range locations {
			entry := mapValue(keys, l.KeyID.String())
			setScalar(entry, "uri", l.URI)
			if l.Name != "" {
				setScalar(entry, "name", l.Name)
			}
		}
	})
}

// settle notes which settings become the configuration's first ones. Where it has another,
// the key that was just found names its own.
func (c *Config) settle(u signer.URI, given, first signer.Settings) signer.URI {
	for _, s := range u.Kind().Settings {
		v, have := given.Get(u.Scheme, s.Name), c.Settings.Get(u.Scheme, s.Name)
		_, own := u.Query(s.Query)
		switch {
		case v == "":
		case have == "":
			first.Set(u.Scheme, s.Name, v)
		case have != v && s.Query != "" && !own:
			u = u.WithQuery(s.Query, v)
		}
	}
	return u
}

// edit changes the configuration file and keeps what a person wrote there, comments
// too.
func (c *Config) edit(change func(doc *yaml.Node)) error {
	data, err := os.ReadFile(c.File)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return err
	}
	var out bytes.Buffer
	if doc.Kind == 0 || doc.Content[0].Kind != yaml.MappingNode {
		// Nothing but comments, or nothing at all.
		out.Write(data)
		if len(data) == 0 {
			out.WriteString("# Where keys live on this machine. No secret belongs in here.")
		}
		if !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
			out.WriteByte('\n')
		}
		doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
	}
	change(doc.Content[0])
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return err
	}
	return atomicfile.Write(c.File, out.Bytes(), 0o644)
}

// mapValue gives the mapping under a key of a mapping, making it if absent.
func mapValue(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			v := m.Content[i+1]
			if v.Kind != yaml.MappingNode {
				*v = yaml.Node{Kind: yaml.MappingNode}
			}
			return v
		}
	}
	v := &yaml.Node{Kind: yaml.MappingNode}
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, v)
	return v
}

func setScalar(m *yaml.Node, key, value string) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content[i+1].Value = value
			return
		}
	}
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key},
		&yaml.Node{Kind: yaml.ScalarNode, Value: value})
}
