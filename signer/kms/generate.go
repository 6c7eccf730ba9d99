package kms

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/fleet-hsm/fleet-hsm/signer"
)

// Generate implements signer.Generator with createKey. A key that the plug-in shows
// already is refused; where it does not tell why it shows none, it is asked all the same,
// and may answer with the key that is there. Names of algorithms are the vendor's own:
// the first that reads as the wanted one is taken, its default before others.
func (b *Backend) Generate(ctx context.Context, ref signer.Ref, opts signer.GenerateOptions, ui signer.UI) (signer.Generated, error) {
	g, err := b.generate(ctx, ref.URI, opts.Algorithm, ui)
	if err != nil {
		return signer.Generated{}, failed("making key", ref.URI, err)
	}
	return g, nil
}

func (b *Backend) generate(ctx context.Context, u signer.URI, wanted signer.Algorithm, ui signer.UI) (signer.Generated, error) {
	b.forget(u)
	_, err := b.readPublic(ctx, u, ui)
	untold := errors.Is(err, signer.ErrMaybeAbsent)
	switch {
	case err == nil:
		return signer.Generated{}, fmt.Errorf("%w under this reference", signer.ErrKeyExists)
	case !untold && !errors.Is(err, signer.ErrKeyNotFound):
		return signer.Generated{}, err
	}
	name, err := b.algorithm(ctx, u, wanted, ui)
	if err != nil {
		return signer.Generated{}, err
	}
	c, a, err := b.do(ctx, u, ui, methodCreate, name, nil)
	if err != nil {
		return signer.Generated{}, err
	}
	if a.Create == nil {
		return signer.Generated{}, c.wrong("holds no public key")
	}
	pub, err := c.parsePublic(a.Create.PEM)
	if err != nil {
		return signer.Generated{}, fmt.Errorf("the key was made (%q), and cannot be used: %w", name, err)
	}
	if have, _ := signer.AlgorithmOf(pub); wanted != "" && have != wanted {
		return signer.Generated{}, &signer.GenerateError{Algorithm: wanted, Wants: fmt.Sprintf("%s made a key of the kind %s for %q, which is still there", c.program, have, name)}
	}
	g := signer.Generated{URI: u, Public: []crypto.PublicKey{pub}}
	if untold {
		g.Warnings = append(g.Warnings, c.program+" does not tell whether the key was there before")
	}
	return g, nil
}

// algorithm gives the plug-in's own name of an algorithm; "" wants P-256, or else what the
// plug-in makes by default.
func (b *Backend) algorithm(ctx context.Context, u signer.URI, wanted signer.Algorithm, ui signer.UI) (string, error) {
	c, a, err := b.do(ctx, u, ui, methodDefaultAlg, "", nil)
	if err != nil {
		return "", err
	}
	if a.DefaultAlg == nil || a.DefaultAlg.Name == "" {
		return "", c.wrong("names no algorithm")
	}
	usual := a.DefaultAlg.Name
	c, a, err = b.do(ctx, u, ui, methodSupportedAl, "", nil)
	if err != nil {
		return "", err
	}
	names := []string{usual}
	if a.SupportedAl != nil {
		names = append(names, a.SupportedAl.Names...)
	}
	reads := func(alg signer.Algorithm) func(string) bool {
		return func(name string) bool { return readsAs(name, alg) }
	}
	look := wanted
	if look == "" {
		look = signer.P256
	}
	if i := slices.IndexFunc(names, reads(look)); i >= 0 {
		return names[i], nil
	}
	if wanted == "" {
		return usual, nil
	}
	return "", &signer.UnsupportedError{
		What: fmt.Sprintf("a key of the kind %s by %s", wanted, c.program), Option: signer.OptionAlgorithm,
		Why: "it makes " + cut(strings.Join(slices.Compact(names), ", "), maxText),
	}
}

// readsAs reports whether a vendor's name of an algorithm means one of ours, as far as a
// name tells: "ecdsa-p256-sha256", "ECDSA_SHA_256", "rsa-pss-3072-sha256". What was made
// is looked at afterwards.
func readsAs(name string, alg signer.Algorithm) bool {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	has := func(list ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
	}
	joined := strings.Join(words, "")
	switch {
	case alg == signer.Ed25519:
		return strings.Contains(joined, "ed25519")
	case alg == signer.P256:
		return has("ec", "ecc", "ecdsa", "p256", "nistp256", "prime256v1", "secp256r1", "es256") &&
			(has("256", "p256", "nistp256", "sha256", "prime256v1", "secp256r1", "es256")) && !has("256k1", "p256k1", "secp256k1", "p256k", "384", "p384", "521", "p521")
	case alg.RSABits() > 0:
		bits := fmt.Sprint(alg.RSABits())
		return strings.HasPrefix(joined, "rsa") && (has(bits) || has("rsa"+bits)) && !strings.Contains(joined, "pkcs1")
	}
	return false
}
