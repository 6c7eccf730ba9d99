package review

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
)

// bip39 is the English list of BIP-39, one word a line.
//
//go:embed bip39.txt
var bip39 string

// Words writes a SHA-256 as 24 words of the English BIP-39 list, which two people can
// read to each other over the telephone. Of the lists that exist for that it is the
// shortest (24 words; the PGP list takes 32), no two of its words share their first four
// letters, and the last word holds a checksum, so that a wrong word shows. "" for what is
// no SHA-256.
func Words(hash string) string {
	sum, err := hex.DecodeString(hash)
	if err != nil || len(sum) != sha256.Size {
		return ""
	}
	list := strings.Fields(bip39)
	check := sha256.Sum256(sum)
	// 256 bits and 8 of their own hash are 24 groups of 11 (BIP-39, generating the mnemonic).
	bits := new(big.Int).SetBytes(append(slices.Clone(sum), check[0]))
	words := make([]string, 24)
	for i := range words {
		group := new(big.Int).Rsh(bits, uint(11*(len(words)-1-i)))
		words[i] = list[group.Uint64()&(1<<11-1)]
	}
	return strings.Join(words, " ")
}
