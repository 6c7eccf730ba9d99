package watch

// Kind is what a finding is about. Kinds are stable: alerts and scripts match them.
type Kind string

// The kinds of finding.
const (
	Unreachable  Kind = "unreachable"
	ExpiresSoon  Kind = "expires-soon"
	Expired      Kind = "expired"
	WentBack     Kind = "went-back"
	StandsStill  Kind = "stands-still"
	Differs      Kind = "differs"
	Mixed        Kind = "mixed"
	NextRoot     Kind = "next-root"
	NotOurs      Kind = "not-in-transcript"
	Leap         Kind = "leap"
	OtherContent Kind = "content"
	Refused      Kind = "refused"
	NoTranscript Kind = "transcript"
)

// Kinds of event that are no finding.
const (
	Started    Kind = "started"
	NewVersion Kind = "version"
)

// Level says how much a finding matters.
type Level string

// The levels.
const (
	Error   Level = "error"
	Warning Level = "warning"
	Info    Level = "info"
)

// Explained is a kind with its level and meaning.
type Explained struct {
	Kind  Kind
	Level Level
	Means string
}

// Kinds lists the kinds of finding, the gravest first.
func Kinds() []Explained {
	return []Explained{
		{NotOurs, Error, "enough good signatures, and no transcript names it: somebody else holds the keys of that role"},
		{Differs, Error, "two addresses, or one at two moments, show different bytes for one version"},
		{WentBack, Error, "an address shows a lower version than it did before"},
		{Leap, Error, "a version rose by more than anybody signs"},
		{OtherContent, Error, "a target is not what metadata names, or is not there"},
		{Mixed, Error, "the files of one address do not belong together: agents that poll now get stuck or fail"},
		{NextRoot, Error, "the root version after the last is not answered with 404: every update fails"},
		{Refused, Error, "agents refuse what is served"},
		{Expired, Error, "a role has expired"},
		{Unreachable, Error, "an address does not answer"},
		{NoTranscript, Error, "a transcript cannot be read, or its chain does not hold"},
		{StandsStill, Warning, "an address is behind the others for longer than caches explain"},
		{ExpiresSoon, Warning, "a role expires soon"},
	}
}

func levelOf(k Kind) Level {
	for _, e := range Kinds() {
		if e.Kind == k {
			return e.Level
		}
	}
	return Info
}
