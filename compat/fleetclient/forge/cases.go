package forge

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"sync"

	"github.com/theupdateframework/go-tuf/data"
)

// Verdict is what a client says of a repository.
type Verdict string

// The verdicts.
const (
	OK    Verdict = "ok"
	Fails Verdict = "fails"
)

// Case is a repository and what three clients say of it.
type Case struct {
	Name       string
	V05        Verdict // go-tuf v0.5.2: deployed agents
	V07        Verdict // go-tuf v0.7.0
	V2         Verdict // go-tuf v2.4.2
	make       func(dir string) *Repo
	thenRotate func(*Repo)
}

// Make writes the repository of the case to dir, with one target. Where the case is a
// rotation, the first root is good and the second, already published, holds the key in
// question: Rotated tells. All clients start from 1.root.json.
func (c Case) Make(dir string) error {
	r := c.make(dir)
	if err := r.Add("orbit/linux/stable/orbit", "1.0.0", []byte("orbit 1.0.0\n")); err != nil {
		return err
	}
	if err := r.All(); err != nil {
		return err
	}
	if c.thenRotate == nil {
		return nil
	}
	c.thenRotate(r)
	return r.All()
}

// Rotated reports whether the key in question comes with root version 2.
func (c Case) Rotated() bool { return c.thenRotate != nil }

// Cases is the table, in the order of SIGNERS.md 5.1.
func Cases() []Case {
	var all []Case
	all = append(all, ed25519Cases()...)
	all = append(all, p256Cases()...)
	all = append(all, curveCases()...)
	all = append(all, rsaCases()...)
	return append(all, rootCases()...)
}

// one is a repository whose four roles share one key.
func one(k Key) func(string) *Repo {
	return func(dir string) *Repo { return New(dir, func() Key { return k }) }
}

func ed25519Cases() []Case {
	bare, private := ed25519Key()
	public := private.Public()
	pemKey := object{Type: "ed25519", Scheme: "ed25519", Hashes: bothHashes(), Value: pemValue(public)}
	bareKey := object{Type: "ed25519", Scheme: "ed25519", Value: map[string]string{"public": hex.EncodeToString(private.Public().(ed25519.PublicKey))}}
	return []Case{
		{Name: "ed25519", V05: OK, V07: OK, V2: OK, make: one(bare)},
		{Name: "ed25519-without-hash-algorithms", V05: OK, V07: OK, V2: OK, make: one(bareKey.key(signEd25519(private)))},
		{Name: "ed25519-pem", V05: Fails, V07: Fails, V2: Fails, make: one(pemKey.key(signEd25519(private)))},
	}
}

func p256Cases() []Case {
	private := ecKey(elliptic.P256())
	der := signEC(private, crypto.SHA256)
	text := pemOf(private.Public())
	value := func(b []byte) map[string]string { return map[string]string{"public": string(b)} }
	old := object{Type: oldP256, Scheme: oldP256, Hashes: bothHashes(), Value: value(text)}
	bare := object{Type: oldP256, Scheme: oldP256, Value: value(text)}
	noNewline := object{Type: oldP256, Scheme: oldP256, Value: value(bytes.TrimSpace(text))}
	crlf := object{Type: oldP256, Scheme: oldP256, Value: value(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))}
	newName := object{Type: "ecdsa", Scheme: oldP256, Value: value(text)}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	hexPoint := object{Type: oldP256, Scheme: oldP256, Hashes: bothHashes(), Value: map[string]string{"public": hex.EncodeToString(point)}}
	return []Case{
		{Name: "p256", V05: OK, V07: OK, V2: OK, make: one(old.key(der))},
		{Name: "p256-without-hash-algorithms", V05: OK, V07: OK, V2: OK, make: one(bare.key(der))},
		{Name: "p256-pem-without-newline", V05: OK, V07: OK, V2: OK, make: one(noNewline.key(der))},
		{Name: "p256-pem-crlf", V05: OK, V07: OK, V2: OK, make: one(crlf.key(der))},
		{Name: "p256-keytype-ecdsa", V05: Fails, V07: OK, V2: OK, make: one(newName.key(der))},
		{Name: "p256-hex-point", V05: Fails, V07: Fails, V2: Fails, make: one(hexPoint.key(der))},
		{Name: "p256-raw-signature", V05: Fails, V07: Fails, V2: OK, make: one(old.key(signRaw(private)))},
		{Name: "p256-sha384", V05: Fails, V07: Fails, V2: Fails, make: one(old.key(signEC(private, crypto.SHA384)))},
	}
}

func curveCases() []Case {
	p384, p521 := ecKey(elliptic.P384()), ecKey(elliptic.P521())
	as := func(keytype, scheme string, public crypto.PublicKey) object {
		return object{Type: keytype, Scheme: scheme, Value: pemValue(public)}
	}
	return []Case{
		{Name: "p384-keytype-ecdsa", V05: Fails, V07: Fails, V2: OK, make: one(as("ecdsa", oldP384, p384.Public()).key(signEC(p384, crypto.SHA384)))},
		{Name: "p384-keytype-nistp384", V05: Fails, V07: Fails, V2: Fails, make: one(as(oldP384, oldP384, p384.Public()).key(signEC(p384, crypto.SHA384)))},
		{Name: "p384-called-p256", V05: OK, V07: OK, V2: OK, make: one(as(oldP256, oldP256, p384.Public()).key(signEC(p384, crypto.SHA256)))},
		{Name: "p521-called-p256", V05: OK, V07: OK, V2: OK, make: one(as(oldP256, oldP256, p521.Public()).key(signEC(p521, crypto.SHA256)))},
		{Name: "p384-scheme-nistp384-sha384", V05: Fails, V07: Fails, V2: OK, make: one(as(oldP256, oldP384, p384.Public()).key(signEC(p384, crypto.SHA384)))},
		{Name: "p384-scheme-nistp384-sha256", V05: OK, V07: OK, V2: Fails, make: one(as(oldP256, oldP384, p384.Public()).key(signEC(p384, crypto.SHA256)))},
	}
}

// rsaCases make their keys when a case is made: they take seconds.
func rsaCases() []Case {
	const pss = "rsassa-pss-sha256"
	usual := func(private *rsa.PrivateKey) object {
		return object{Type: "rsa", Scheme: pss, Hashes: bothHashes(), Value: pemValue(private.Public())}
	}
	bare := func(private *rsa.PrivateKey) object {
		return object{Type: "rsa", Scheme: pss, Value: pemValue(private.Public())}
	}
	pkcs1 := func(private *rsa.PrivateKey) object {
		block := &pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&private.PublicKey)}
		return object{Type: "rsa", Scheme: pss, Value: map[string]string{"public": string(pem.EncodeToMemory(block))}}
	}
	middle := sync.OnceValue(func() *rsa.PrivateKey { return rsaKey(3072) })
	of := func(private func() *rsa.PrivateKey, form func(*rsa.PrivateKey) object, salt int) func(string) *Repo {
		return func(dir string) *Repo { return one(form(private()).key(signPSS(private(), salt)))(dir) }
	}
	small := sync.OnceValue(func() *rsa.PrivateKey { return rsaKey(2048) })
	big := sync.OnceValue(func() *rsa.PrivateKey { return rsaKey(4096) })
	v15 := func(dir string) *Repo {
		return one(usual(middle()).key(func(message []byte) ([]byte, error) {
			return rsa.SignPKCS1v15(rand.Reader, middle(), crypto.SHA256, digest(crypto.SHA256, message))
		}))(dir)
	}
	return []Case{
		{Name: "rsa2048", V05: OK, V07: OK, V2: OK, make: of(small, usual, 32)},
		{Name: "rsa3072", V05: OK, V07: OK, V2: OK, make: of(middle, usual, 32)},
		{Name: "rsa4096", V05: OK, V07: OK, V2: OK, make: of(big, usual, 32)},
		{Name: "rsa3072-without-hash-algorithms", V05: OK, V07: OK, V2: OK, make: of(middle, bare, 32)},
		{Name: "rsa3072-salt-max", V05: OK, V07: OK, V2: OK, make: of(middle, usual, rsa.PSSSaltLengthAuto)},
		{Name: "rsa3072-salt-20", V05: OK, V07: OK, V2: OK, make: of(middle, usual, 20)},
		{Name: "rsa3072-pem-pkcs1", V05: Fails, V07: Fails, V2: OK, make: of(middle, pkcs1, 32)},
		{Name: "rsa3072-pkcs1v15", V05: Fails, V07: Fails, V2: Fails, make: v15},
	}
}

// rootCases are about the root as a whole.
func rootCases() []Case {
	private := ecKey(elliptic.P256())
	der := signEC(private, crypto.SHA256)
	newName := object{Type: "ecdsa", Scheme: oldP256, Value: pemValue(private.Public())}.key(der)
	old := object{Type: oldP256, Scheme: oldP256, Hashes: bothHashes(), Value: pemValue(private.Public())}.key(der)
	bare := object{Type: oldP256, Scheme: oldP256, Value: pemValue(private.Public())}.key(der)
	noted := object{Type: oldP256, Scheme: oldP256, Value: pemValue(private.Public()), Extra: "blue"}.key(der)
	odd := old
	odd.ID = hex.EncodeToString(bytes.Repeat([]byte{0xab}, 32))
	stranger := Ed25519()
	good := func(dir string) *Repo { return New(dir, Ed25519) }
	with := func(change func(*Repo)) func(string) *Repo {
		return func(dir string) *Repo { r := good(dir); change(r); return r }
	}
	return []Case{
		{Name: "unused-key-of-keytype-ecdsa", V05: Fails, V07: OK, V2: OK, make: with(func(r *Repo) { r.Listed = []Key{newName} })},
		{Name: "rotation-to-keytype-ecdsa", V05: Fails, V07: OK, V2: OK, make: good, thenRotate: rotateTo(newName)},
		{Name: "rotation-to-p256", V05: OK, V07: OK, V2: OK, make: good, thenRotate: rotateTo(old)},
		{Name: "rotation-to-p256-without-hash-algorithms", V05: OK, V07: OK, V2: OK, make: good, thenRotate: rotateTo(bare)},
		{Name: "threshold-2-by-one-key-listed-twice", V05: OK, V07: OK, V2: Fails, make: with(threshold2(old, bare))},
		{Name: "threshold-2-ed25519-and-p256", V05: OK, V07: OK, V2: OK, make: with(threshold2(Ed25519(), old))},
		{Name: "arbitrary-key-id", V05: OK, V07: OK, V2: OK, make: one(odd)},
		{Name: "unknown-field-in-key", V05: OK, V07: OK, V2: OK, make: one(noted)},
		{Name: "signature-of-an-unknown-key", V05: OK, V07: OK, V2: OK, make: with(func(r *Repo) {
			r.Extra = []data.Signature{{KeyID: stranger.ID, Signature: bytes.Repeat([]byte{1}, 64)}}
		})},
		{Name: "empty-signature-of-an-unknown-key", V05: OK, V07: OK, V2: OK, make: with(func(r *Repo) {
			r.Extra = []data.Signature{{KeyID: stranger.ID, Signature: []byte{}}}
		})},
		{Name: "threshold-2-with-one-signature", V05: Fails, V07: Fails, V2: Fails, make: with(func(r *Repo) {
			threshold2(Ed25519(), old)(r)
			r.Roles["root"].Signers = r.Roles["root"].Keys[:1]
		})},
	}
}

// rotateTo replaces the timestamp's key: even there one foreign key is enough.
func rotateTo(k Key) func(*Repo) {
	return func(r *Repo) { r.Roles["timestamp"].Keys = []Key{k} }
}

func threshold2(a, b Key) func(*Repo) {
	return func(r *Repo) {
		for _, role := range r.Roles {
			role.Keys, role.Threshold = []Key{a, b}, 2
		}
	}
}
