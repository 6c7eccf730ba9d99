package config

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

// Location is where a key can be found, to be remembered.
type Location struct {
	KeyID     tuf.KeyID
	URI, Name string
}

// Remember keeps locations, here and in the file, with the module that was given on the
// command line, without which the next command would not find a token's keys.
func (c *Config) Remember(places []Location, module string) error {
	if len(places) == 0 {
		return nil
	}
	places, first := withModule(places, module, c.PKCS11.Module)
	for _, p := range places {
		u, err := signer.Parse(p.URI)
		if err != nil {
			return err
		}
		c.Locations[p.KeyID] = u
		if p.Name != "" {
			if c.Keys == nil {
				c.Keys = map[tuf.KeyID]Key{}
			}
			c.Keys[p.KeyID] = Key{URI: p.URI, Name: p.Name}
		}
	}
	return c.edit(func(doc *yaml.Node) {
		if first {
			c.PKCS11.Module = module
			setScalar(mapValue(doc, "pkcs11"), "module", module)
		}
		keys := mapValue(doc, "keys")
		for _, p := range places {
			entry := mapValue(keys, p.KeyID.String())
			setScalar(entry, "uri", p.URI)
			if p.Name != "" {
				setScalar(entry, "name", p.Name)
			}
		}
	})
}

// withModule says whether a module is the configuration's first one. Where it has
// another, the keys that were just found name theirs themselves.
func withModule(places []Location, module, have string) (out []Location, first bool) {
	for _, p := range places {
		u, err := signer.Parse(p.URI)
		if err == nil && module != "" && u.Scheme == "pkcs11" {
			if _, ok := u.Query("module-path"); !ok && have != "" && have != module {
				sep := "?"
				if strings.Contains(p.URI, "?") {
					sep = "&"
				}
				p.URI += sep + "module-path=" + EscapeQuery(module)
			}
			first = first || have == ""
		}
		out = append(out, p)
	}
	return out, first
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

// EscapeQuery writes a value behind the question mark of a key URI.
func EscapeQuery(v string) string {
	return strings.NewReplacer("%", "%25", "&", "%26", "#", "%23", " ", "%20").Replace(v)
}
