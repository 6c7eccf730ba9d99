package verify

// Code names a kind of finding. Codes are stable: scripts may match them.
type Code string

// Codes of findings about reading.
const (
	// CodeMissing: a metadata file that clients ask for is not there.
	CodeMissing Code = "missing"
	// CodeUnreadable: a file is there and cannot be read.
	CodeUnreadable Code = "unreadable"
	// CodeNotRegular: a FIFO, device or directory stands where a file should be.
	CodeNotRegular Code = "not-regular"
	// CodeHTTPStatus: the server answers with something other than 200 or 404.
	CodeHTTPStatus Code = "http-status"
	// CodeContentLength: the server announces another length than metadata does; agents refuse that.
	CodeContentLength Code = "content-length"
	// CodeHTML: an HTML page comes where JSON should.
	CodeHTML Code = "html"
	// CodeTooLarge: metadata over the limit of the deployed client: timestamp 16,384 bytes, root 512,000 bytes.
	CodeTooLarge Code = "too-large"
	// CodeClientLimit: metadata without a recorded length, over the limit of newer clients.
	CodeClientLimit Code = "client-limit"
	// CodeLeftover: something in the web root that does not belong there.
	CodeLeftover Code = "leftover"
	// CodeWentBack: a numbered file is newer than what clients are shown: an older copy was put over the folder.
	CodeWentBack Code = "went-back"
)

// Codes of findings about the form of metadata.
const (
	// CodeMalformed: metadata that is not the JSON it should be.
	CodeMalformed Code = "malformed"
	// CodeNesting: JSON nested deeper than any metadata is.
	CodeNesting Code = "nesting"
	// CodeDuplicateField: a JSON object that has one name twice: clients differ on which counts.
	CodeDuplicateField Code = "duplicate-field"
	// CodeNumber: a number that is not an integer, or is beyond 2^53: deployed clients canonicalise it differently.
	CodeNumber Code = "number"
	// CodeNotCompact: JSON with indentation, a trailing newline or characters that agents store in another form.
	CodeNotCompact Code = "not-compact"
	// CodeType: the _type of metadata is not its role.
	CodeType Code = "type"
	// CodeSpecVersion: spec_version is not 1.0 or 1.0.x.
	CodeSpecVersion Code = "spec-version"
	// CodeVersion: a version that is not positive, or not the one in the file's name.
	CodeVersion Code = "version"
	// CodeExpired: metadata is expired at the reference time.
	CodeExpired Code = "expired"
	// CodeExpiresZone: expires carries a zone offset; write UTC with Z.
	CodeExpiresZone Code = "expires-zone"
	// CodeExpiresForm: expires is not in the form 2006-01-02T15:04:05Z.
	CodeExpiresForm Code = "expires-form"
)

// Codes of findings about root and its chain.
const (
	// CodePinnedRoot: the root to begin with is unusable.
	CodePinnedRoot Code = "pinned-root"
	// CodePinnedDiffers: the repository has another root of the same version as the trusted one.
	CodePinnedDiffers Code = "pinned-differs"
	// CodeRootChain: a root is not signed by enough keys of the root before it: agents stop there.
	CodeRootChain Code = "root-chain"
	// CodeRootGap: a version of N.root.json is missing between others: agents older than that stop there.
	CodeRootGap Code = "root-gap"
	// CodeRootFirst: the first versions of N.root.json are missing: agents packaged with them cannot follow.
	CodeRootFirst Code = "root-first"
	// CodeRootCopy: root.json is missing or is not the highest N.root.json.
	CodeRootCopy Code = "root-copy"
	// CodeRootLimit: more root versions than a client follows in one update (1,000).
	CodeRootLimit Code = "root-limit"
	// CodeNextRoot: the root version after the last is not answered with 404: every update fails.
	CodeNextRoot Code = "next-root"
	// CodeRotationTrap: a root took away targets or snapshot keys and the timestamp did not rise: running agents lose their snapshot.
	CodeRotationTrap Code = "rotation-trap"
)

// Codes of findings about keys and signatures.
const (
	// CodeKeyType: a keytype that deployed agents do not know: they refuse the whole root.
	CodeKeyType Code = "key-type"
	// CodeKeyScheme: a scheme that does not belong to the keytype.
	CodeKeyScheme Code = "key-scheme"
	// CodeKeyForm: a public key in a form that deployed agents cannot read: they refuse the whole root.
	CodeKeyForm Code = "key-form"
	// CodeKeyCurve: an ECDSA key on another curve than P-256.
	CodeKeyCurve Code = "key-curve"
	// CodeKeySize: an RSA key outside of 2048 to 4096 bits.
	CodeKeySize Code = "key-size"
	// CodeKeyID: something else than a key ID where one belongs.
	CodeKeyID Code = "key-id"
	// CodeKeyMissing: a role names a key that root does not hold.
	CodeKeyMissing Code = "key-missing"
	// CodeKeyDuplicate: a role holds one public key twice: old clients count it twice.
	CodeKeyDuplicate Code = "key-duplicate"
	// CodeRoleMissing: root lacks one of the four roles; agents crash on that.
	CodeRoleMissing Code = "role-missing"
	// CodeRoleThreshold: a threshold below 1, or above the number of keys.
	CodeRoleThreshold Code = "role-threshold"

	// CodeThreshold: not enough valid signatures.
	CodeThreshold Code = "threshold"
	// CodeSignature: a signature of a key of the role does not verify.
	CodeSignature Code = "signature"
	// CodeSignatureRaw: an ECDSA signature as raw r||s; agents take ASN.1 DER only.
	CodeSignatureRaw Code = "signature-raw"
	// CodeSignaturePKCS1: an RSA signature in PKCS#1 v1.5; agents take PSS only.
	CodeSignaturePKCS1 Code = "signature-pkcs1"
	// CodeSignatureHex: a signature that is not hex: agents refuse the whole file.
	CodeSignatureHex Code = "signature-hex"
	// CodeSignatureDuplicate: two signatures under one key ID: newer clients refuse the whole file.
	CodeSignatureDuplicate Code = "signature-duplicate"
)

// Codes of findings about what one file says of another.
const (
	// CodeMetaMissing: metadata does not name the file below it.
	CodeMetaMissing Code = "meta-missing"
	// CodeMetaVersion: a file has another version than the one named above it.
	CodeMetaVersion Code = "meta-version"
	// CodeMetaLength: a file has another length than the one named above it.
	CodeMetaLength Code = "meta-length"
	// CodeMetaHash: a file has another hash than the one named above it.
	CodeMetaHash Code = "meta-hash"
	// CodeSHA512: a sha512 hash is missing where Fleet's tools and hash-named files need it.
	CodeSHA512 Code = "sha512"
	// CodeHashForm: a hash that is not the hex of its algorithm, or of an algorithm agents do not know.
	CodeHashForm Code = "hash-form"
	// CodeCopy: an unversioned copy is missing or is not the versioned file.
	CodeCopy Code = "copy"
	// CodeDelegation: a delegation that clients cannot follow.
	CodeDelegation Code = "delegation"
	// CodeColdExpiry: a delegated role expires before targets.
	CodeColdExpiry Code = "cold-expiry"
	// CodeColdChannel: a channel stands in a delegated role.
	CodeColdChannel Code = "cold-channel"
	// CodeTargetTwice: a target stands in two roles.
	CodeTargetTwice Code = "target-twice"
	// CodeDelegationLimit: more delegated roles on the way to a target than a client
	// visits (32).
	CodeDelegationLimit Code = "delegation-limit"
)

// Codes of findings about targets.
const (
	// CodeTargetPath: a target path that cannot be asked for safely.
	CodeTargetPath Code = "target-path"
	// CodeTargetParts: a target path that agents never ask for: not name/platform/channel/file.
	CodeTargetParts Code = "target-parts"
	// CodeTargetName: a last path element over 126 bytes: its hash-named file cannot exist.
	CodeTargetName Code = "target-name"
	// CodeTargetVersion: custom is not exactly {"version": "..."}.
	CodeTargetVersion Code = "target-version"
	// CodeTargetMissing: a target that metadata names is not there.
	CodeTargetMissing Code = "target-missing"
	// CodeTargetHashName: a hash-named form of a target is not there.
	CodeTargetHashName Code = "target-hash-name"
	// CodeTargetLength: a target has another length than metadata says.
	CodeTargetLength Code = "target-length"
	// CodeTargetHash: a target has other bytes than metadata says.
	CodeTargetHash Code = "target-hash"
	// CodeTargetEmpty: a target of 0 bytes.
	CodeTargetEmpty Code = "target-empty"
	// CodeFileNotSigned: a file from elsewhere has the bytes of no target (see [Report.Which]).
	CodeFileNotSigned Code = "file-not-signed"
)

// CodeClient is what go-tuf v2's own client says.
const CodeClient Code = "client"
