package main

import (
	"io"
	"os/user"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/fleet-hsm/fleet-hsm/config"
	"github.com/fleet-hsm/fleet-hsm/internal/buildtime"
	"github.com/fleet-hsm/fleet-hsm/keyring"
	"github.com/fleet-hsm/fleet-hsm/prompt"
	"github.com/fleet-hsm/fleet-hsm/remote"
	"github.com/fleet-hsm/fleet-hsm/repo"
	"github.com/fleet-hsm/fleet-hsm/repo/meta"
	"github.com/fleet-hsm/fleet-hsm/signer"
	"github.com/fleet-hsm/fleet-hsm/workflow"
)

// app is one run of the tool: the global flags and what is made from them.
type app struct {
	// out is stdout, talk is stderr: nothing else writes there.
	out, talk *prompt.Writer

	path       string
	configFile string
	// forRequest and pathNamed: see requestFrom.
	forRequest, pathNamed bool
	// notes are for the result with --json.
	notes []string
	json  bool
	color string
	// given are the settings of kinds of key that flags name.
	given       []givenSetting
	pinSource   string
	noInput     bool
	yes         bool
	lockTimeout config.Duration
	// transcriptFile and operatorNote are --transcript and --note.
	transcriptFile, operatorNote string

	// now is this machine's clock.
	now func() time.Time
	// kinds are the kinds of key that there are.
	kinds signer.Kinds

	// dryRun is --dry-run of the commands that sign.
	dryRun bool
	// ran is the command that was run, with its path ("fleet-hsm key list").
	ran string

	log  *workflow.Transcript
	cfg  *config.Config
	keys *keyring.Ring
	ui   *prompt.Person
}

func newApp(stdout, stderr io.Writer) *app {
	a := &app{out: prompt.New(stdout), talk: prompt.New(stderr), now: time.Now, kinds: kinds(), lockTimeout: config.Duration(10 * time.Second)}
	a.log = &workflow.Transcript{File: a.transcriptPath, Note: func() string { return a.operatorNote }, Person: loginName, Warn: a.warn}
	return a
}

// command builds the command tree.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "fleet-hsm",
		Short: "Run an update repository for Fleet's agents, with keys on YubiKeys, HSMs or in files",
		Long: `fleet-hsm runs an update repository (TUF) for Fleet's agents: the commands of
"fleetctl updates" on the same folders, with every key where it belongs.

Exit codes: 0 done; 1 refused or failed; 2 wrong flag, argument, URI, config or
manifest; 3 staged, and short of signatures; 4 metadata that does not verify; 5 a
PIN, passphrase or token is the problem; 6 something expires soon; 7 locked by
another process; 130 interrupted.`,
		Version:           version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              noArgs,
		PersistentPreRunE: a.beforeAll,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		CompletionOptions: cobra.CompletionOptions{},
	}
	root.SetOut(a.out.Raw())
	root.SetErr(a.talk.Raw())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return wrongFlag(cmd, err)
	})
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { a.help(cmd) })
	root.SetHelpCommand(a.helpCommand())
	root.SetVersionTemplate("fleet-hsm {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVar(&a.path, "path", ".", "folder of the repository")
	f.StringVar(&a.configFile, "config", "", "configuration file (default <path>/fleet-hsm.yaml; for a request your own one)")
	f.BoolVar(&a.json, "json", false, "machine-readable output on stdout")
	f.StringVar(&a.color, "color", string(prompt.Auto), "colours in text: auto (on a terminal, without $NO_COLOR), always or never")
	a.addSettings(f)
	f.StringVar(&a.pinSource, "pin-source", "", "where the PIN comes from: file:PATH, fd:N, env:NAME or cmd:COMMAND")
	f.BoolVar(&a.noInput, "no-input", false, "never ask; fail instead")
	f.BoolVar(&a.yes, "yes", false, "do not ask for confirmation of this command's own change")
	f.Var(&a.lockTimeout, "lock-timeout", "how long to wait for another process")
	takesNothing(f, "lock-timeout", "do not wait")
	f.StringVar(&a.transcriptFile, "transcript", "", "file to log what is signed and published to (default: transcript: of the configuration)")
	f.StringVar(&a.operatorNote, "note", "", "what the log is to say of this command besides")
	takesNothing(f, "note", "say nothing")
	root.AddCommand(a.commands()...)
	root.AddCommand(a.manCommand())
	arrange(root)
	a.addDryRun(root)
	a.complete(root)
	wrapArgs(root)
	return root
}

func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.initCommand(), a.addCommand(), a.timestampCommand(), a.rotateCommand(), a.rootsCommand(),
		a.reviewCommand(), a.requestCommand(), a.signCommand(), a.attachCommand(), a.commitCommand(), a.discardCommand(),
		a.promoteCommand(), a.removeCommand(), a.archiveCommand(), a.pruneCommand(), a.listCommand(), a.gcCommand(), a.migrateCommand(),
		a.publishCommand(), a.pullCommand(), a.onlineCommand(), a.watchCommand(), a.packageCommand(),
		a.statusCommand(), a.verifyCommand(), a.keyCommand(), a.tokenCommand(), a.doctorCommand(), a.transcriptCommand(),
		a.versionCommand(),
	}
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && v == "(devel)" {
			v = "devel-" + s.Value[:12]
		}
	}
	return v
}

// repo opens the repository of --path. Commands that need one there call load.
func (a *app) repo() *repo.Repo {
	return repo.Open(a.path, repo.Options{Now: a.now, Noted: a.log.Noted, DryRun: a.dryRun, Person: loginName(), Judge: remote.Judge{WebRoot: a.within("repository")}})
}

// say talks to the person: stderr, one line. The arguments may be anybody's words.
func (a *app) say(format string, args ...any) { a.talk.Printf(format+"\n", args...) }

// warn is say with a mark.
func (a *app) warn(format string, args ...any) { a.say("warning: "+format, args...) }

// note is say for progress that --json readers do not want.
func (a *app) note(format string, args ...any) {
	if !a.json {
		a.say(format, args...)
	}
}

// print writes data: with --json the value, else the text.
func (a *app) print(value any, text func(w *prompt.Writer)) error {
	if !a.json {
		text(a.out)
		return nil
	}
	return a.out.JSON(value)
}

func (a *app) close() {
	if a.keys != nil {
		if err := a.keys.Close(); err != nil {
			a.warn("closing a token: %v", err)
		}
	}
	if a.ui != nil {
		a.ui.Close()
	}
}

// within gives a path below --path as a person would type it.
func (a *app) within(elem ...string) string {
	return filepath.Join(append([]string{a.path}, elem...)...)
}

// checkPath refuses a --path that is no folder, before anything else is tried.
func (a *app) checkPath() error { return config.CheckFolder(a.path) }

// requestFrom says that the command is given a request; the folder --path counts for its
// configuration only if it was named, or is a repository.
func (a *app) requestFrom(pathNamed bool) { a.forRequest, a.pathNamed = true, pathNamed }

func (a *app) searchPlace() config.Where {
	return config.Where{Folder: a.path, File: a.configFile, Request: a.forRequest, Named: a.pathNamed, Kinds: a.kinds, Warn: a.warn}
}

// config loads the configuration once.
func (a *app) config() (*config.Config, error) {
	if a.cfg != nil {
		return a.cfg, nil
	}
	cfg, err := a.searchPlace().Load()
	if err != nil {
		return nil, err
	}
	a.cfg = cfg
	return cfg, nil
}

func (a *app) lockTimeoutValue() time.Duration { return time.Duration(a.lockTimeout) }

// person is who is asked, once for the command.
func (a *app) person() *prompt.Person {
	if a.ui == nil {
		a.ui = prompt.NewPerson(prompt.Options{Talk: a.talk, NoInput: a.noInput, PINSource: a.pinSource, Folder: a.path, Config: a.config})
	}
	return a.ui
}

// progress starts a bar; without a terminal on stderr, or with --json, it shows nothing.
func (a *app) progress(what string) *prompt.Bar {
	if a.json {
		return prompt.NewBar(nil, what)
	}
	return prompt.NewBar(a.talk, what)
}

// keychain makes the keychain once for the command.
func (a *app) keychain() (*keyring.Ring, error) {
	if a.keys != nil {
		return a.keys, nil
	}
	settings, err := a.settings()
	if err != nil {
		return nil, err
	}
	a.keys, err = keyring.New(keyring.Options{
		Kinds: a.kinds, Folder: a.path, Config: a.cfg, Settings: settings, Given: a.flagSettings(), Foreign: !a.searchPlace().FolderCounts(),
		DryRun: a.dryRun, PINSource: a.pinSource, Sources: a.person(), Note: a.note, Warn: a.warn,
		Signed: func(d *meta.Doc, key meta.Key, at signer.URI, sig []byte) error {
			return a.log.Signature(d, key, at, sig, a.keys.AttestationDigest(key.ID))
		},
	})
	return a.keys, err
}

// transcriptPath is the file of --transcript or of the configuration; "" for none.
func (a *app) transcriptPath() (string, error) {
	if a.transcriptFile != "" {
		return a.transcriptFile, nil
	}
	cfg, err := a.config()
	if err != nil || cfg.Transcript == "" {
		return "", err
	}
	return cfg.Beside(cfg.Transcript), nil
}

// loginName is who runs this, "" if the system does not tell.
func loginName() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}

// checkClock refuses a clock that cannot be right.
func (a *app) checkClock() error { return buildtime.Check(a.now()) }

// beforeAll runs before every command.
func (a *app) beforeAll(cmd *cobra.Command, _ []string) error {
	when := prompt.When(a.color)
	if known := []string{string(prompt.Auto), string(prompt.Always), string(prompt.Never)}; !slices.Contains(known, a.color) {
		return usage(noneOf("--color", a.color, a.color, known))
	}
	a.out.Colour(when)
	a.talk.Colour(when)
	return a.judgeByClock(cmd)
}

// judgeByClock: what an existing repository needs goes on with
// a warning, since its own dates are checked besides; init has nothing to go by.
func (a *app) judgeByClock(cmd *cobra.Command) error {
	err := a.checkClock()
	if err == nil || cmd.Name() == "init" {
		return err
	}
	a.warn("%v", err)
	return nil
}
