package softhsm

// TB is the part of testing.TB that New needs, so that programs which use this
// package do not link package testing.
type TB interface {
	Helper()
	TempDir() string
	Setenv(key, value string)
	Fatalf(format string, args ...any)
}

// New makes a token for one test and points this process at it. The test fails where
// SoftHSM2 is not installed: a test that quietly skips its subject proves nothing.
func New(t TB) *Token {
	t.Helper()
	return NewWith(t, Options{})
}

// NewWith is New with options.
func NewWith(t TB, o Options) *Token {
	t.Helper()
	tok, err := Make(t.TempDir(), o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Setenv("SOFTHSM2_CONF", tok.Conf)
	return tok
}
