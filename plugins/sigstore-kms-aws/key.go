package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// key is a key in AWS KMS.
type key struct {
	client *kms.Client
	ref    string
}

// kinds lists what can be made, the default first, and AWS's names for it.
func kinds() ([]string, []types.KeySpec) {
	return []string{"ecdsa-p256-sha256", "ed25519", "rsa-pss-2048-sha256", "rsa-pss-3072-sha256", "rsa-pss-4096-sha256"},
		[]types.KeySpec{types.KeySpecEccNistP256, types.KeySpecEccNistEdwards25519, types.KeySpecRsa2048, types.KeySpecRsa3072, types.KeySpecRsa4096}
}

// public reads the public key, and writes it as PEM.
func (k *key) public(ctx context.Context) (crypto.PublicKey, []byte, error) {
	out, err := k.client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: aws.String(k.ref)})
	if err != nil {
		return nil, nil, err
	}
	pub, err := x509.ParsePKIXPublicKey(out.PublicKey)
	return pub, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: out.PublicKey}), err
}

// create makes a key and an alias for it. A key that is there already is the answer.
func (k *key) create(ctx context.Context, name string) ([]byte, error) {
	names, specs := kinds()
	i := slices.Index(names, name)
	if i < 0 || !strings.HasPrefix(k.ref, "alias/") {
		return nil, fmt.Errorf("a new key needs a name, alias/NAME instead of %q, and an algorithm of %v instead of %q", k.ref, names, name)
	}
	var absent *types.NotFoundException
	_, text, err := k.public(ctx)
	if !errors.As(err, &absent) {
		return text, err
	}
	made, err := k.client.CreateKey(ctx, &kms.CreateKeyInput{KeySpec: specs[i], KeyUsage: types.KeyUsageTypeSignVerify, Description: aws.String(k.ref)})
	if err != nil {
		return nil, err
	}
	if _, err := k.client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String(k.ref), TargetKeyId: made.KeyMetadata.KeyId}); err != nil {
		return nil, fmt.Errorf("key %s was made and has no alias: %w", *made.KeyMetadata.KeyId, err)
	}
	_, text, err = k.public(ctx)
	return text, err
}

// signed is what a key of a kind signs: the message, or its digest, which the caller may
// have made already; and how.
func signed(pub crypto.PublicKey, stdin io.Reader, o messageOptions) ([]byte, types.MessageType, types.SigningAlgorithmSpec, error) {
	how := types.SigningAlgorithmSpecEcdsaSha256
	switch pub.(type) {
	case ed25519.PublicKey:
		message, err := io.ReadAll(stdin)
		return message, types.MessageTypeRaw, types.SigningAlgorithmSpecEd25519Sha512, err
	case *rsa.PublicKey:
		how = types.SigningAlgorithmSpecRsassaPssSha256
	}
	digest := o.Message.Digest
	if len(digest) == 0 {
		h := sha256.New()
		if _, err := io.Copy(h, stdin); err != nil {
			return nil, "", "", err
		}
		digest = h.Sum(nil)
	}
	if hash := o.Message.Hash; hash != crypto.SHA256 && hash != 0 || len(digest) != sha256.Size {
		return nil, "", "", errors.New("messages are hashed with SHA-256 and nothing else")
	}
	return digest, types.MessageTypeDigest, how, nil
}

func (k *key) sign(ctx context.Context, stdin io.Reader, o messageOptions) ([]byte, error) {
	pub, _, err := k.public(ctx)
	if err != nil {
		return nil, err
	}
	message, kind, how, err := signed(pub, stdin, o)
	if err != nil {
		return nil, err
	}
	out, err := k.client.Sign(ctx, &kms.SignInput{KeyId: aws.String(k.ref), Message: message, MessageType: kind, SigningAlgorithm: how})
	if err != nil {
		return nil, err
	}
	return out.Signature, nil
}

// verify asks the service for the public key alone.
func (k *key) verify(ctx context.Context, stdin io.Reader, o messageOptions, sig []byte) error {
	pub, _, err := k.public(ctx)
	if err != nil {
		return err
	}
	message, _, _, err := signed(pub, stdin, o)
	if err != nil {
		return err
	}
	good := false
	switch p := pub.(type) {
	case ed25519.PublicKey:
		good = ed25519.Verify(p, message, sig)
	case *ecdsa.PublicKey:
		good = ecdsa.VerifyASN1(p, message, sig)
	case *rsa.PublicKey:
		good = rsa.VerifyPSS(p, crypto.SHA256, message, sig, nil) == nil
	}
	if !good {
		return errors.New("the signature does not verify")
	}
	return nil
}
