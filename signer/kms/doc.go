// Package kms reaches keys in a key management service (KMS) through a program that its
// vendor ships: it speaks the plug-in protocol of sigstore, so that no vendor's library is
// linked into this process.
//
// # Naming
//
//	kms:aws;ref=alias/fleet-timestamp     program sigstore-kms-aws
//	aws://alias/fleet-timestamp           the same, as cosign writes it
//
// The name in front is that of the plug-in: lower-case letters, digits, ".", "_" and "-",
// so it cannot lead out of a folder. "ref" is handed to the plug-in as it stands and means
// what its vendor says; both attributes must be there. There is no query and no PIN.
//
// # The program
//
// sigstore-kms-NAME is looked for in the one folder that the configuration names
// (kms: {plugins: /usr/libexec/fleet-hsm}), else in the absolute folders of PATH. Before
// each call it is checked as modules are: it and every folder on the way to it belong to
// the user or to root, and nobody else can write there (package owned). What is refused is
// *ProgramError; the next folder is not tried. A request, a repository and a stick name no
// program: where others say that a key is, is looked up among tokens only.
//
// It is started without a shell, once for each call, in its own folder and in a process
// group of its own that is killed when the call is over, for whatever reason. Of the
// environment it gets what package childenv gives to others' programs, the variables whose
// names begin with its own name (AWS_ for sigstore-kms-aws), and those that the
// configuration names (kms: {environment: "VAULT_TOKEN GOOGLE_*"}).
//
// # The protocol
//
// Version v1, as sigstore 1.10 has it. argv[1] is "v1", argv[2] one JSON object:
//
//	{"initOptions": {"protocolVersion": "v1", "keyResourceID": REF, "hashFunc": 5,
//	                 "ctxDeadline": TIME, "rpcOptions": {...}},
//	 "methodName": "publicKey", "publicKey": {"publicKeyOptions": {"rpcOptions": {...}}}}
//
// The methods called are publicKey, signMessage and, to make a key, supportedAlgorithms,
// defaultAlgorithm and createKey. The message comes on stdin, the answer is one JSON object
// on stdout of at most 64 KiB: {"errorMessage": TEXT} or {METHOD: {...}} with the public
// key (PEM) or the signature in base64. The exit status means nothing. What the program
// writes to stderr is shown line by line (signer.Hearer).
//
// # What is believed
//
// Nothing. The public key is read first and compared with the one that root names; only
// then a signature is asked for, and verified before it is kept. *SignatureError names what
// came instead: r||s, PKCS#1 v1.5, another key's. *AnswerError is an answer that is none,
// *DeadlineError none in time, *RefusedError what the service said. Nothing is tried
// again here; who runs unattended tries again later.
package kms
