package signer_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

func must(t *testing.T, s string) signer.URI {
	t.Helper()
	u, err := parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// What the rest of the program asks a URI, by kind.
func TestWhatAURIAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		uri, token, device, behind, told, name string
		onDevice                               bool
	}{
		{uri: "file:keys/root.json", device: "file:keys/root.json", behind: "file:", name: "file:keys/root.json"},
		{uri: "pub:a.json", behind: "pub:", name: "pub:a.json"},
		{uri: "pkcs11:token=a;serial=1;id=%01;object=k;slot-id=3;model=m?module-path=/m.so&pin-source=env:X", token: "pkcs11:token=a", device: "pkcs11:token=a;serial=1",
			behind: "pkcs11:token=a;serial=1;model=m;slot-id=3?module-path=/m.so", told: "pkcs11:token=a;serial=1;id=%01;object=k;model=m",
			name: "pkcs11:token=a;serial=1;id=%01;object=k;model=m;slot-id=3", onDevice: true},
		{uri: "pkcs11:object=k", token: "pkcs11:object=k", device: "pkcs11:", behind: "pkcs11:", told: "pkcs11:object=k", name: "pkcs11:object=k", onDevice: true},
		{uri: "piv:serial=15;slot=9c", token: "piv:serial=15", device: "piv:serial=15", behind: "piv:serial=15", told: "piv:serial=15;slot=9c", name: "YubiKey 15", onDevice: true},
		{uri: "piv:reader=ACME;slot=9c", token: "piv:reader=ACME", device: "piv:reader=ACME", behind: "piv:reader=ACME", told: "piv:reader=ACME;slot=9c", name: `the card of reader "ACME"`, onDevice: true},
	} {
		u := must(t, c.uri)
		for what, pair := range map[string][2]string{
			"Token": {u.Token(), c.token}, "Device": {u.Device(), c.device}, "Behind": {u.Behind(), c.behind},
			"Told": {u.Told(), c.told}, "DeviceName": {u.DeviceName(), c.name},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s of %s: %q, want %q", what, c.uri, pair[0], pair[1])
			}
		}
		if u.OnDevice() != c.onDevice || u.ToldBy() != (c.told != "" && c.told == c.uri) {
			t.Errorf("%s: on a device %v, may be told %v", c.uri, u.OnDevice(), u.ToldBy())
		}
	}
	if k := (signer.URI{}).Kind(); k.OnDevice() || k.Insertable || k.Sealed {
		t.Error("the zero URI is of some kind")
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		general, special string
		want             bool
	}{
		{"pkcs11:token=a", "pkcs11:token=a;object=k", true},
		{"pkcs11:token=a;object=k", "pkcs11:token=a", false},
		{"pkcs11:token=a", "pkcs11:token=b;object=k", false},
		{"pkcs11:token=a;type=private;slot-id=1", "pkcs11:token=a;object=k", true},
		{"pkcs11:", "piv:serial=1", false},
		{"piv:", "piv:serial=1;slot=9c", true},
		{"file:a", "file:a", true},
		{"file:a", "file:b", false},
	} {
		if got := must(t, c.general).Covers(must(t, c.special)); got != c.want {
			t.Errorf("%s covers %s: %v", c.general, c.special, got)
		}
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	full, typed := must(t, "pkcs11:token=a;id=%01"), must(t, "pkcs11:token=a?pin-source=file:/a%20b&module-path=/m%26.so")
	if s := full.WithQueryOf(typed); s != "pkcs11:token=a;id=%01?module-path=/m%26.so&pin-source=file:/a%20b" {
		t.Error(s)
	}
	if u := must(t, full.WithQuery("module-path", "/x%.so").Typed()); u.String() != full.String() {
		t.Error(u.Typed())
	} else if v, _ := u.Query("module-path"); v != "/x%.so" {
		t.Error(v)
	}
}

// A kind that is added is known everywhere: parsed, opened, listed, named.
func TestANewKind(t *testing.T) {
	t.Parallel()
	opened := ""
	ks := append(kinds(), &signer.Kind{
		Scheme: "vault", Form: "vault:ref=...", Device: []string{"name"}, Key: []string{"ref"}, Settings: []signer.Setting{{Name: "folder", Needed: true}},
		New: func(dir string, setting func(string) string) signer.Backend {
			opened = dir + " " + setting("folder")
			return nil
		},
	})
	u, err := ks.Parse("vault:ref=a;name=b")
	if err != nil || u.String() != "vault:name=b;ref=a" || !u.OnDevice() || u.Told() != u.String() {
		t.Errorf("%s, %v", u, err)
	}
	if _, err := ks.Parse("hsm:a"); err == nil || !strings.HasSuffix(err.Error(), "known are file, pub, pkcs11, piv (or yubikey), vault") {
		t.Error(err)
	}
	settings := signer.Settings{}
	ready := func() (out []string) {
		for _, k := range ks.Ready(settings) {
			out = append(out, k.Scheme)
		}
		return out
	}
	if got := ready(); !slices.Equal(got, []string{"piv"}) {
		t.Errorf("without settings, %q", got)
	}
	settings.Set("vault", "folder", "/plugins")
	if got := ready(); !slices.Equal(got, []string{"piv", "vault"}) {
		t.Errorf("with its settings, %q", got)
	}
	if b := ks.Backends("/repo", settings); len(b) != 4 || opened != "/repo /plugins" {
		t.Errorf("back ends %v, made with %q", b, opened)
	}
	if s := ks.Devices(); s != "pkcs11: and piv: and vault:" {
		t.Error(s)
	}
}
