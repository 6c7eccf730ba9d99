package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fleet-hsm/fleet-hsm/internal/atomicfile"
	"github.com/fleet-hsm/fleet-hsm/internal/tuf"
	"github.com/fleet-hsm/fleet-hsm/signer"
)

// place is where a key can be found, to be remembered.
type place struct {
	keyID     tuf.KeyID
	uri, name string
}

// remember writes places into the configuration, with the module that was given on the
// command line, without which the next command would not find a token's keys.
func (c *config) remember(places []place, module string) error {
	if len(places) == 0 {
		return nil
	}
	places, first := withModule(places, module, c.PKCS11.Module)
	return c.edit(func(doc *yaml.Node) {
		if first {
			c.PKCS11.Module = module
			setScalar(mapValue(doc, "pkcs11"), "module", module)
		}
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

// withModule says whether a module is the configuration's first one. Where it has
// another, the keys that were just found name theirs themselves.
func withModule(places []place, module, have string) (out []place, first bool) {
	for _, p := range places {
		u, err := signer.Parse(p.uri)
		if err == nil && module != "" && u.Scheme == "pkcs11" {
			if _, ok := u.Query("module-path"); !ok && have != "" && have != module {
				sep := "?"
				if strings.Contains(p.uri, "?") {
					sep = "&"
				}
				p.uri += sep + "module-path=" + escapeQuery(module)
			}
			first = first || have == ""
		}
		out = append(out, p)
	}
	return out, first
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
