package lint

import "fmt"

// Severity is [Error] or [Warning].
type Severity string

const (
	// Error: agents cannot run or install this.
	Error Severity = "error"
	// Warning: perhaps as meant.
	Warning Severity = "warning"
)

// Code names a kind of finding. Codes are stable: scripts may match them.
type Code string

const (
	// CodeEmpty: a file, or the executable inside an archive, of 0 bytes.
	CodeEmpty Code = "empty"
	// CodeUnreadable: reading failed.
	CodeUnreadable Code = "unreadable"
	// CodeArchitecture: an executable for another processor than the platform's.
	CodeArchitecture Code = "architecture"
	// CodeFormat: an executable of another system, or an archive where an executable
	// should be, or the other way round.
	CodeFormat Code = "format"
	// CodeUnknownFormat: neither an executable nor an archive that is known here.
	CodeUnknownFormat Code = "unknown-format"
	// CodeScript: a script where agents have always had a binary.
	CodeScript Code = "script"
	// CodeTruncated: the file ends before its own headers say.
	CodeTruncated Code = "truncated"
	// CodeCorrupt: an archive or executable that cannot be read through.
	CodeCorrupt Code = "corrupt"
	// CodeFileName: the published name would not be the one that agents ask for.
	CodeFileName Code = "file-name"
	// CodePlatform: a platform that is not known, or that no agent asks this
	// component for.
	CodePlatform Code = "platform"
	// CodeArchiveEmpty: an archive without any file.
	CodeArchiveEmpty Code = "archive-empty"
	// CodeArchiveEntry: something other than directories and regular files: agents
	// refuse to unpack it.
	CodeArchiveEntry Code = "archive-entry"
	// CodeArchivePath: a name with "..", or an absolute one.
	CodeArchivePath Code = "archive-path"
	// CodeArchiveSize: more content than is looked through.
	CodeArchiveSize Code = "archive-size"
	// CodeInnerPath: the executable that agents start is not in the archive.
	CodeInnerPath Code = "inner-path"
	// CodeInnerMode: the executable in the archive is not executable.
	CodeInnerMode Code = "inner-mode"
	// CodeSameBytes: the same bytes under two platforms, or under two components.
	CodeSameBytes Code = "same-bytes"
	// CodeTwice: one component and platform twice in a release.
	CodeTwice Code = "twice"
)

// Codes lists every code that a finding can have.
func Codes() []Code {
	return []Code{
		CodeEmpty, CodeUnreadable, CodeArchitecture, CodeFormat, CodeUnknownFormat, CodeScript,
		CodeTruncated, CodeCorrupt, CodeFileName, CodePlatform, CodeArchiveEmpty, CodeArchiveEntry,
		CodeArchivePath, CodeArchiveSize, CodeInnerPath, CodeInnerMode, CodeSameBytes, CodeTwice,
	}
}

// Finding is one thing that is, or may be, wrong with a file.
type Finding struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Name     string   `json:"name"` // component
	Platform string   `json:"platform"`
	Path     string   `json:"path"` // as given by the caller
	Text     string   `json:"text"`
}

// String is the finding on one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s %s %s/%s %q: %s", f.Severity, f.Code, f.Name, f.Platform, f.Path, f.Text)
}
