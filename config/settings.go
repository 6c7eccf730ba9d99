package config

import (
	"fmt"
	"reflect"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// decode reads the fields of Config and, for each kind of key that has settings, a section
// that is called as its scheme. It is one strict reading, so that every unknown field is
// named with its line: hence a type that is made for the kinds of this program.
func (c *Config) decode(data []byte) error {
	fields := []reflect.StructField{{Name: "Config", Type: reflect.TypeFor[Config](), Tag: `yaml:",inline"`}}
	var sections []*signer.Kind
	for _, k := range c.kinds {
		if len(k.Settings) == 0 {
			continue
		}
		var settings []reflect.StructField
		for i, s := range k.Settings {
			settings = append(settings, field(i, reflect.TypeFor[string](), s.Name))
		}
		fields = append(fields, field(len(fields), reflect.StructOf(settings), k.Scheme))
		sections = append(sections, k)
	}
	all := reflect.New(reflect.StructOf(fields)).Elem()
	all.Field(0).Set(reflect.ValueOf(*c))
	if err := StrictYAML(data, all.Addr().Interface()); err != nil {
		return err
	}
	*c = all.Field(0).Interface().(Config)
	c.Settings = signer.Settings{}
	for i, k := range sections {
		for j, s := range k.Settings {
			if v := all.Field(i + 1).Field(j).String(); v != "" {
				c.Settings.Set(k.Scheme, s.Name, v)
			}
		}
	}
	return nil
}

func field(n int, t reflect.Type, name string) reflect.StructField {
	return reflect.StructField{Name: fmt.Sprintf("F%d", n), Type: t, Tag: reflect.StructTag(fmt.Sprintf(`yaml:%q`, name))}
}
