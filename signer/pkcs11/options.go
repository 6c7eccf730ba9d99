package pkcs11

import "time"

// Options says which module a backend uses and how. The zero value uses what each
// URI names.
type Options struct {
	// Module is the absolute path of the module, from --pkcs11-module or the
	// configuration file. A module-path in a URI comes before it; a module-name
	// counts only where Module is empty.
	Module string
	// Timeout bounds every call into the module; 0 means 30 seconds. Making a key
	// may take ten times as long (RSA on a card), and so may a PIN that is entered
	// on the device.
	Timeout time.Duration
	// Sessions bounds how many signatures a token makes at once; 0 means 8. Sessions
	// are opened when they are needed, kept, and never more than the token allows.
	Sessions int
	// InitArgs is handed to C_Initialize as its reserved argument; "" for none. NSS
	// takes its parameters there. A *.module file has it as x-init-reserved.
	InitArgs string
	// ConfigDirs replaces the folders of p11-kit's *.module files; nil for the
	// system's. For tests.
	ConfigDirs []string
}

const (
	defaultTimeout  = 30 * time.Second
	defaultSessions = 8
	// slowFactor stretches the timeout for what takes a device or a person long.
	slowFactor = 10
)

func (o Options) timeout() time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return defaultTimeout
}

func (o Options) sessions() int {
	if o.Sessions > 0 {
		return o.Sessions
	}
	return defaultSessions
}
