package verify

// Code names a kind of finding. Codes are stable: scripts may match them.
type Code string

// Codes of findings about reading.
const (
	CodeMissing       Code = "missing"
	CodeUnreadable    Code = "unreadable"
	CodeNotRegular    Code = "not-regular"
	CodeHTTPStatus    Code = "http-status"
	CodeContentLength Code = "content-length"
	CodeHTML          Code = "html"
	CodeTooLarge      Code = "too-large"
	CodeClientLimit   Code = "client-limit"
	CodeLeftover      Code = "leftover"
	CodeWentBack      Code = "went-back"
)

// Codes of findings about the form of metadata.
const (
	CodeMalformed      Code = "malformed"
	CodeNesting        Code = "nesting"
	CodeDuplicateField Code = "duplicate-field"
	CodeNumber         Code = "number"
	CodeNotCompact     Code = "not-compact"
	CodeType           Code = "type"
	CodeSpecVersion    Code = "spec-version"
	CodeVersion        Code = "version"
	CodeExpired        Code = "expired"
	CodeExpiresZone    Code = "expires-zone"
	CodeExpiresForm    Code = "expires-form"
)

// Codes of findings about root and its chain.
const (
	CodePinnedRoot    Code = "pinned-root"
	CodePinnedDiffers Code = "pinned-differs"
	CodeRootChain     Code = "root-chain"
	CodeRootGap       Code = "root-gap"
	CodeRootFirst     Code = "root-first"
	CodeRootCopy      Code = "root-copy"
	CodeRootLimit     Code = "root-limit"
	CodeNextRoot      Code = "next-root"
	CodeRotationTrap  Code = "rotation-trap"
)

// Codes of findings about keys and signatures.
const (
	CodeKeyType       Code = "key-type"
	CodeKeyScheme     Code = "key-scheme"
	CodeKeyForm       Code = "key-form"
	CodeKeyCurve      Code = "key-curve"
	CodeKeySize       Code = "key-size"
	CodeKeyMissing    Code = "key-missing"
	CodeKeyDuplicate  Code = "key-duplicate"
	CodeRoleMissing   Code = "role-missing"
	CodeRoleThreshold Code = "role-threshold"

	CodeThreshold          Code = "threshold"
	CodeSignature          Code = "signature"
	CodeSignatureRaw       Code = "signature-raw"
	CodeSignaturePKCS1     Code = "signature-pkcs1"
	CodeSignatureHex       Code = "signature-hex"
	CodeSignatureDuplicate Code = "signature-duplicate"
)

// Codes of findings about what one file says of another.
const (
	CodeMetaMissing     Code = "meta-missing"
	CodeMetaVersion     Code = "meta-version"
	CodeMetaLength      Code = "meta-length"
	CodeMetaHash        Code = "meta-hash"
	CodeSHA512          Code = "sha512"
	CodeHashForm        Code = "hash-form"
	CodeCopy            Code = "copy"
	CodeDelegation      Code = "delegation"
	CodeDelegationLimit Code = "delegation-limit"
)

// Codes of findings about targets.
const (
	CodeTargetPath     Code = "target-path"
	CodeTargetParts    Code = "target-parts"
	CodeTargetName     Code = "target-name"
	CodeTargetVersion  Code = "target-version"
	CodeTargetMissing  Code = "target-missing"
	CodeTargetHashName Code = "target-hash-name"
	CodeTargetLength   Code = "target-length"
	CodeTargetHash     Code = "target-hash"
	CodeTargetEmpty    Code = "target-empty"
)

// CodeClient is what go-tuf v2's own client says.
const CodeClient Code = "client"

// Describe explains a code in one sentence; empty for a code that no finding has.
func Describe(c Code) string {
	for _, d := range descriptions() {
		if d.code == c {
			return d.text
		}
	}
	return ""
}

// Codes lists every code that a finding can have.
func Codes() []Code {
	var all []Code
	for _, d := range descriptions() {
		all = append(all, d.code)
	}
	return all
}

type description struct {
	code Code
	text string
}

func descriptions() []description {
	return []description{
		{CodeMissing, "a metadata file that clients ask for is not there"},
		{CodeUnreadable, "a file is there and cannot be read"},
		{CodeNotRegular, "a FIFO, device or directory stands where a file should be"},
		{CodeHTTPStatus, "the server answers with something other than 200 or 404"},
		{CodeContentLength, "the server announces another length than metadata does; agents refuse that"},
		{CodeHTML, "an HTML page comes where JSON should"},
		{CodeTooLarge, "metadata over the limit of the deployed client: timestamp 16,384 bytes, root 512,000 bytes"},
		{CodeClientLimit, "metadata without a recorded length, over the limit of newer clients"},
		{CodeLeftover, "something in the web root that does not belong there"},
		{CodeWentBack, "a numbered file is newer than what clients are shown: an older copy was put over the folder"},
		{CodeMalformed, "metadata that is not the JSON it should be"},
		{CodeNesting, "JSON nested deeper than any metadata is"},
		{CodeDuplicateField, "a JSON object that has one name twice: clients differ on which counts"},
		{CodeNumber, "a number that is not an integer, or is beyond 2^53: deployed clients canonicalise it differently"},
		{CodeNotCompact, "JSON with indentation, a trailing newline or characters that agents store in another form"},
		{CodeType, "the _type of metadata is not its role"},
		{CodeSpecVersion, "spec_version is not 1.0 or 1.0.x"},
		{CodeVersion, "a version that is not positive, or not the one in the file's name"},
		{CodeExpired, "metadata is expired at the reference time"},
		{CodeExpiresZone, "expires carries a zone offset; write UTC with Z"},
		{CodeExpiresForm, "expires is not in the form 2006-01-02T15:04:05Z"},
		{CodePinnedRoot, "the root to begin with is unusable"},
		{CodePinnedDiffers, "the repository has another root of the same version as the trusted one"},
		{CodeRootChain, "a root is not signed by enough keys of the root before it: agents stop there"},
		{CodeRootGap, "a version of N.root.json is missing between others: agents older than that stop there"},
		{CodeRootFirst, "the first versions of N.root.json are missing: agents packaged with them cannot follow"},
		{CodeRootCopy, "root.json is missing or is not the highest N.root.json"},
		{CodeRootLimit, "more root versions than a client follows in one update (1,000)"},
		{CodeNextRoot, "the root version after the last is not answered with 404: every update fails"},
		{CodeRotationTrap, "a root took away targets or snapshot keys and the timestamp did not rise: running agents lose their snapshot"},
		{CodeKeyType, "a keytype that deployed agents do not know: they refuse the whole root"},
		{CodeKeyScheme, "a scheme that does not belong to the keytype"},
		{CodeKeyForm, "a public key in a form that deployed agents cannot read: they refuse the whole root"},
		{CodeKeyCurve, "an ECDSA key on another curve than P-256"},
		{CodeKeySize, "an RSA key outside of 2048 to 4096 bits"},
		{CodeKeyMissing, "a role names a key that root does not hold"},
		{CodeKeyDuplicate, "a role holds one public key twice: old clients count it twice"},
		{CodeRoleMissing, "root lacks one of the four roles; agents crash on that"},
		{CodeRoleThreshold, "a threshold below 1, or above the number of keys"},
		{CodeThreshold, "not enough valid signatures"},
		{CodeSignature, "a signature of a key of the role does not verify"},
		{CodeSignatureRaw, "an ECDSA signature as raw r||s; agents take ASN.1 DER only"},
		{CodeSignaturePKCS1, "an RSA signature in PKCS#1 v1.5; agents take PSS only"},
		{CodeSignatureHex, "a signature that is not hex: agents refuse the whole file"},
		{CodeSignatureDuplicate, "two signatures under one key ID: newer clients refuse the whole file"},
		{CodeMetaMissing, "metadata does not name the file below it"},
		{CodeMetaVersion, "a file has another version than the one named above it"},
		{CodeMetaLength, "a file has another length than the one named above it"},
		{CodeMetaHash, "a file has another hash than the one named above it"},
		{CodeSHA512, "a sha512 hash is missing where Fleet's tools and hash-named files need it"},
		{CodeHashForm, "a hash that is not the hex of its algorithm, or of an algorithm agents do not know"},
		{CodeCopy, "an unversioned copy is missing or is not the versioned file"},
		{CodeDelegation, "a delegation that clients cannot follow"},
		{CodeDelegationLimit, "more delegated roles than a client visits (32)"},
		{CodeTargetPath, "a target path that cannot be asked for safely"},
		{CodeTargetParts, "a target path that agents never ask for: not name/platform/channel/file"},
		{CodeTargetName, "a last path element over 126 bytes: its hash-named file cannot exist"},
		{CodeTargetVersion, "custom is not exactly {\"version\": \"...\"}"},
		{CodeTargetMissing, "a target that metadata names is not there"},
		{CodeTargetHashName, "a hash-named form of a target is not there"},
		{CodeTargetLength, "a target has another length than metadata says"},
		{CodeTargetHash, "a target has other bytes than metadata says"},
		{CodeTargetEmpty, "a target of 0 bytes"},
		{CodeClient, "go-tuf v2's client refuses the repository"},
	}
}
