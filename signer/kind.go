package signer

import (
	"slices"
	"strings"
)

// Kind is what a back end declares of its keys: how they are named, what they ask of a
// person, which settings they need. Nobody else names a scheme or asks for one; whoever
// has a [URI] asks it (URI.Kind). The zero Kind is that of a URI that names nothing.
type Kind struct {
	// Scheme begins each URI; Aliases are other ways to write it.
	Scheme  string
	Aliases []string
	// Form is a URI as an example, for whoever wrote none; may be "".
	Form string

	// Path: the URI is a scheme and the path of a file. Other kinds have attributes:
	// Device are those that tell one device from another, Key those that tell one key on it
	// from another, both in the order in which they are written; Class says what sort of
	// object is meant; Traits describe the device. All of these mean the same on every
	// machine. Local ones are accepted, and mean something on one machine only.
	Path                              bool
	Device, Key, Class, Traits, Local []string
	// First is the one of them whose value stands in front, without its name; "" for none.
	First string
	// Bytes are those whose values are bytes and no text, MayBeEmpty those that may have an
	// empty one, Folded those whose value means the same in capital letters.
	Bytes, MayBeEmpty, Folded []string
	// Query are the attributes behind the question mark.
	Query []string
	// Check says what else is wrong with a URI, "" for nothing; may be nil.
	Check func(URI) string

	// Foreign reads the name that other programs have for such a key and completes u, which
	// names any; it is asked about a scheme that no kind has. False: it is none. May be nil.
	Foreign func(u URI, scheme, rest string) (URI, bool)

	// Service: no device that somebody holds, but a service that this machine reaches with
	// credentials of its own. It has no PIN, and is no token to list.
	Service bool
	// Elsewhere: only the public part is there; the key signs on another machine.
	Elsewhere bool
	// Sealed: which keys a place holds shows only when it is unlocked.
	Sealed bool
	// Person: each signature may need a person, with a PIN, a touch or the device itself.
	Person bool
	// Insertable: a device that is absent can be plugged in by the person who is asked.
	Insertable bool
	// Management: keys are made with a management key besides the PIN.
	Management bool

	// Absent names the device of a URI that is not there, for people; nil for the URI.
	Absent func(URI) string
	// Identity tells the device of a URI from every other one without asking it; "" where
	// only the device can tell. May be nil.
	Identity func(URI) string
	// Prepared is what a person should do and keep once a device is set up; may be nil.
	Prepared func(Token) []string

	// Settings are those of this machine, in a section of the configuration that is called
	// as the scheme is.
	Settings []Setting
	// New makes the back end. dir is the folder of the repository; setting gives a value by
	// its name, "" for none. Nil: nothing opens such a key here.
	New func(dir string, setting func(name string) string) Backend
}

// Setting is a value that a kind of key takes from this machine's owner.
type Setting struct {
	// Name is that of the field in the kind's section of the configuration.
	Name string
	// Flag and Usage are those of the global flag that goes before it; "" for none.
	Flag, Usage string
	// Query is the attribute behind the question mark of a URI that goes before both.
	Query string
	// Needed: without it there is nothing to look at.
	Needed bool
}

// Settings are values of settings, by scheme and name.
type Settings map[string]map[string]string

// Get gives one; "" for none.
func (s Settings) Get(scheme, name string) string { return s[scheme][name] }

// Set keeps one.
func (s Settings) Set(scheme, name, value string) {
	if s[scheme] == nil {
		s[scheme] = map[string]string{}
	}
	s[scheme][name] = value
}

// OnDevice reports whether a key of this kind is on a device or service, which does not
// give it away.
func (k *Kind) OnDevice() bool { return len(k.Device) > 0 }

// Attributes lists the path attributes that a URI may have.
func (k *Kind) Attributes() []string {
	return slices.Concat(k.Device, k.Key, k.Class, k.Traits, k.Local)
}

// URI is the URI that names any key of this kind.
func (k *Kind) URI() URI {
	return URI{Scheme: k.Scheme, kind: k, path: map[string]string{}, query: map[string]string{}}
}

// Parse reads a URI of this kind.
func (k *Kind) Parse(s string) (URI, error) { return Kinds{k}.Parse(s) }

// keyFile and publicPart are the kinds that the layout of a repository has by itself.
var (
	keyFile    = Kind{Scheme: "file", Form: "file:keys/root.json", Path: true, Query: []string{"pin-source"}, Sealed: true}
	publicPart = Kind{Scheme: "pub", Path: true, Elsewhere: true}
)

// KeyFile declares encrypted key files; their back end adds itself.
func KeyFile() Kind { return keyFile }

// PublicPart declares files with the public part of a key that is elsewhere.
func PublicPart() *Kind { return &publicPart }

// Kinds are the kinds of key of a program, in the order in which they are looked through.
type Kinds []*Kind

// Parse reads a key URI. Errors are *URIError.
func (ks Kinds) Parse(s string) (URI, error) {
	u, reason := ks.parse(s)
	if reason != "" {
		return URI{}, &URIError{URI: redact(s), Reason: reason}
	}
	return u, nil
}

func (ks Kinds) find(scheme string) *Kind {
	for _, k := range ks {
		if k.Scheme == scheme || slices.Contains(k.Aliases, scheme) {
			return k
		}
	}
	return nil
}

// known names the schemes for whoever wrote another one.
func (ks Kinds) known() string {
	var out []string
	for _, k := range ks {
		s := k.Scheme
		if len(k.Aliases) > 0 {
			s += " (or " + strings.Join(k.Aliases, ", ") + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func (ks Kinds) forms() string {
	var out []string
	for _, k := range ks {
		if k.Form != "" {
			out = append(out, `"`+k.Form+`"`)
		}
	}
	if n := len(out); n > 1 {
		return strings.Join(out[:n-1], ", ") + " or " + out[n-1]
	}
	return strings.Join(out, "")
}

// Devices names the schemes of devices: "pkcs11: and piv:".
func (ks Kinds) Devices() string {
	var out []string
	for _, k := range ks {
		if k.OnDevice() && !k.Service {
			out = append(out, k.Scheme+":")
		}
	}
	return strings.Join(out, " and ")
}

// Backends makes the back ends of all kinds that have one.
func (ks Kinds) Backends(dir string, settings Settings) Backends {
	all := Backends{}
	for _, k := range ks {
		if k.New != nil {
			all[k.Scheme] = k.New(dir, func(name string) string { return settings.Get(k.Scheme, name) })
		}
	}
	return all
}

// Ready lists the kinds of devices that this machine is set up for: those that need no
// setting, then those that have what they need.
func (ks Kinds) Ready(settings Settings) []*Kind {
	var free, set []*Kind
	for _, k := range ks {
		if !k.OnDevice() || k.Service {
			continue
		}
		needs, missing := false, false
		for _, s := range k.Settings {
			needs = needs || s.Needed
			missing = missing || s.Needed && settings.Get(k.Scheme, s.Name) == ""
		}
		switch {
		case !needs:
			free = append(free, k)
		case !missing:
			set = append(set, k)
		}
	}
	return append(free, set...)
}

// noKind is the kind of a URI that was not parsed.
var noKind Kind

// Kind is what the back end of u declares.
func (u URI) Kind() *Kind {
	if u.kind == nil {
		return &noKind
	}
	return u.kind
}

// OnDevice reports whether the key is on a device, which does not give it away.
func (u URI) OnDevice() bool { return u.Kind().OnDevice() }

// OnToken reports whether the key is on a device that somebody holds, and that may ask
// for a PIN.
func (u URI) OnToken() bool { return u.OnDevice() && !u.Kind().Service }

// DeviceName names the device of u for people, where it is not there to say its name.
func (u URI) DeviceName() string {
	if k := u.Kind(); k.Absent != nil {
		return k.Absent(u)
	}
	return u.String()
}

// Token is the first attribute that names the device, as a URI; "" for files.
func (u URI) Token() string {
	k := u.Kind()
	if !k.OnDevice() {
		return ""
	}
	for _, name := range k.Device {
		if v, ok := u.Attr(name); ok {
			return u.Scheme + ":" + name + "=" + v
		}
	}
	return u.String()
}

// Device is the part of u that says which device it is; the file for a key file, "" where
// nobody knows.
func (u URI) Device() string {
	k := u.Kind()
	switch {
	case k.Sealed:
		return u.String()
	case !k.OnDevice():
		return ""
	}
	return u.only(k.Device)
}

// OnlyDevice is u without all that does not tell one device from another; false if nothing
// does.
func (u URI) OnlyDevice() (URI, bool) {
	c := u.Kind().URI()
	for _, name := range u.Kind().Device {
		if v, ok := u.Attr(name); ok {
			c.path[name] = v
		}
	}
	return c, len(c.path) > 0
}

// Behind is u without what names the key, with the module or service that the device is
// behind.
func (u URI) Behind() string {
	k := u.Kind()
	text := u.only(slices.DeleteFunc(u.names(), func(name string) bool { return slices.Contains(k.Key, name) || slices.Contains(k.Class, name) }))
	for _, name := range k.Query {
		if v, ok := u.Query(name); ok && name != pinSource {
			text += "?" + name + "=" + v
		}
	}
	return text
}

// Told is what may be told to others of where the key is: the attributes that mean the same
// on every machine. "" for none.
func (u URI) Told() string {
	k := u.Kind()
	text := u.only(slices.Concat(k.Device, k.Key, k.Class, k.Traits))
	if text == u.Scheme+":" || k.Path {
		return ""
	}
	return text
}

// ToldBy reports whether others may say of a key that it is at u.
func (u URI) ToldBy() bool { return len(u.query) == 0 && u.Told() == u.String() }

// Covers reports whether every attribute of u that tells devices or keys apart stands in
// special with the same value.
func (u URI) Covers(special URI) bool {
	if u.Scheme != special.Scheme || u.Opaque != special.Opaque {
		return false
	}
	k := u.Kind()
	for _, name := range slices.Concat(k.Device, k.Key, k.Traits) {
		if want, ok := u.Attr(name); ok {
			if have, ok := special.Attr(name); !ok || have != want {
				return false
			}
		}
	}
	return true
}

// WithQueryOf writes u with the query of another URI of its kind; nothing in it is secret.
func (u URI) WithQueryOf(typed URI) string {
	s, sep := u.String(), "?"
	for _, name := range u.Kind().Query {
		if v, ok := typed.Query(name); ok {
			s += sep + name + "=" + escapeQuery(v)
			sep = "&"
		}
	}
	return s
}

// Typed writes u with its query.
func (u URI) Typed() string { return u.WithQueryOf(u) }

// WithQuery returns a copy of u with a query attribute set.
func (u URI) WithQuery(name, value string) URI {
	c := u.copy()
	c.query[name] = value
	return c
}

func escapeQuery(v string) string {
	return strings.NewReplacer("%", "%25", "&", "%26", "#", "%23", " ", "%20").Replace(v)
}
