package review

import (
	"encoding/hex"
	"strings"

	"github.com/cosmos/go-bip39"
)

// Words writes a SHA-256 as 24 words of the English BIP-39 list, which two people can
// read to each other over the telephone. Of the lists that exist for that it is the
// shortest (24 words; the PGP list takes 32), no two of its words share their first four
// letters, and the last word holds a checksum, so that a wrong word shows. "" for what is
// no SHA-256.
func Words(hash string) string {
	sum, err := hex.DecodeString(hash)
	if err != nil || len(sum) != 32 {
		return ""
	}
	words, err := bip39.NewMnemonic(sum)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(words)
}
