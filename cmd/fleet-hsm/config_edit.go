package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"

	"go.yaml.in/yaml/v3"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
)

// place is where a key can be found, to be remembered.
type place struct {
	keyID     tuf.KeyID
	uri, name string
}

// remember writes places into the configuration.
func (c *config) remember(places []place) error {
	if len(places) == 0 {
		return nil
	}
	return c.edit(func(doc *yaml.Node) {
		keys := mapValue(doc, "keys")
		for _, p := range places {
			entry := mapValue(keys, p.keyID.String())
			setScalar(entry, "uri", p.uri)
			if p.name != "" {
				setScalar(entry, "name", p.name)
			}
		}
	})
}

// edit changes the configuration file and keeps what a person wrote there, comments
// too.
func (c *config) edit(change func(doc *yaml.Node)) error {
	data, err := os.ReadFile(c.file)
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
	return atomicfile.Write(c.file, out.Bytes(), 0o644)
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
