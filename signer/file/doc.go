// Package file keeps keys in encrypted files, in the format of go-tuf, so that
// fleetctl and fleet-hsm can use the same ones.
//
// # The file
//
// keys/<role>.json, mode 0600, tab-indented JSON and a newline:
//
//	{
//		"encrypted": true,
//		"data": {
//			"kdf": {"name": "scrypt", "params": {"N": 32768, "r": 8, "p": 1}, "salt": base64},
//			"cipher": {"name": "nacl/secretbox", "nonce": base64},
//			"ciphertext": base64
//		}
//	}
//
// The plaintext is a JSON array of {keytype, scheme, keyid_hash_algorithms,
// keyval{public, private}}. All keys of a file share one passphrase. scrypt N=32768
// is written, since go-tuf v0.5.2 (and so fleetctl) opens nothing else; 65536 and
// 131072 are read too.
//
// # Naming
//
// "file:keys/root.json"; a path that is not absolute is below the repository's
// folder. Which of several keys is meant is said by Ref.Pinned: the public part is
// inside the ciphertext, so it is known only after the file was unlocked.
//
// # Secrets
//
// A passphrase is taken byte for byte, as fleetctl takes it. Where it comes with a
// second spelling (signer.Secret.Or), that is tried if the first does not open the
// file.
//
// A file is unlocked once per backend, whoever asks and however often; several files
// at the same time. A file that others can read, or that others can replace, is
// *signer.FileModeError before a passphrase is asked for.
package file
