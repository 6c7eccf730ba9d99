package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fleet-hsm/fleet-hsm/softpiv/card"
)

// errQuit ends the program.
var errQuit = errors.New("bye")

// action is something to do to one card.
type action struct {
	name string
	args string
	help string
	do   func(c *card.Card, arg string) error
}

// actions lists what can be done to a card, in the order of help.
func actions() []action {
	return []action{
		{"insert", "SERIAL", "plug it in", func(c *card.Card, _ string) error { c.Insert(); return nil }},
		{"remove", "SERIAL", "pull it out", func(c *card.Card, _ string) error { c.Remove(); return nil }},
		{"touch", "[SERIAL]", "put a finger on it (Enter alone does it too)", touchCard},
		{"touched-by", "SERIAL WHO", "from now on by hand, auto or nobody", setTouch},
		{"miss", "SERIAL [N]", "the next N touches (1) come too late", withNumber(1, (*card.Card).MissTouches)},
		{"remove-after", "SERIAL N", "it leaves after N more commands", withNumber(-1, (*card.Card).RemoveAfter)},
		{"wrong", "SERIAL [N]", "its next N signatures (1) are wrong", withNumber(1, (*card.Card).SetWrongSignatures)},
		{"trace", "SERIAL", "show the last 20 lines of what was said, without secrets", nil},
	}
}

// help lists the commands.
func help() string {
	var b strings.Builder
	for _, a := range actions() {
		fmt.Fprintf(&b, "  %-26s %s\n", a.name+" "+a.args, a.help)
	}
	fmt.Fprintf(&b, "  %-26s %s\n  %-26s %s", "list", "the cards", "quit", "unplug everything")
	return b.String()
}

// obey runs one command line and gives its answer.
func (d *desk) obey(line string) (string, error) {
	words := strings.Fields(line)
	if len(words) == 0 {
		words = []string{"touch"}
	}
	switch words[0] {
	case "quit", "exit":
		return "", errQuit
	case "list":
		return d.list(), nil
	case "help":
		return help(), nil
	}
	for _, a := range actions() {
		if a.name == words[0] {
			return d.act(a, words[1:])
		}
	}
	return "", fmt.Errorf("%q is no command; help lists them", words[0])
}

// act does it to the card that is named; a touch without a name goes to whichever
// card waits for one.
func (d *desk) act(a action, args []string) (string, error) {
	if a.name == "touch" && len(args) == 0 {
		return d.touchAny()
	}
	if len(args) == 0 || len(args) > 2 {
		return "", fmt.Errorf("usage: %s %s", a.name, a.args)
	}
	c, err := d.find(args[0])
	if err != nil {
		return "", err
	}
	if a.do == nil {
		lines := c.Trace()
		return strings.Join(lines[max(0, len(lines)-20):], "\n"), nil
	}
	arg := ""
	if len(args) == 2 {
		arg = args[1]
	}
	if err := a.do(c, arg); err != nil {
		return "", err
	}
	return describe(c), nil
}

func (d *desk) find(serial string) (*card.Card, error) {
	for _, c := range d.cards {
		if fmt.Sprint(c.Serial()) == serial {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no card has serial number %q", serial)
}

func (d *desk) touchAny() (string, error) {
	for _, c := range d.cards {
		if c.WaitingForTouch() && c.Touch() {
			return fmt.Sprintf("touched card %d", c.Serial()), nil
		}
	}
	return "", errors.New("no card waits for a touch")
}

// list describes the cards.
func (d *desk) list() string {
	var lines []string
	for _, c := range d.cards {
		lines = append(lines, describe(c))
	}
	return strings.Join(lines, "\n")
}

func describe(c *card.Card) string {
	v := c.Firmware()
	where := "plugged in"
	if !c.Present() {
		where = "out"
	}
	return fmt.Sprintf("card %d: YubiKey %d.%d.%d, %s, %d PIN and %d PUK tries left", c.Serial(), v[0], v[1], v[2], where, c.PINLeft(), c.PUKLeft())
}

func touchCard(c *card.Card, _ string) error {
	if !c.Touch() {
		return fmt.Errorf("card %d does not wait for a touch", c.Serial())
	}
	return nil
}

// setTouch says who touches a card.
func setTouch(c *card.Card, who string) error {
	switch who {
	case "hand":
		c.SetTouch(card.TouchByHand, 0)
	case "auto":
		c.SetTouch(card.TouchAuto, 300*time.Millisecond)
	case "nobody":
		c.SetTouch(card.TouchNobody, 0)
	default:
		return fmt.Errorf("%q is none of hand, auto, nobody", who)
	}
	return nil
}

// withNumber reads a count; def stands for an absent one, negative if there must be
// one.
func withNumber(def int, set func(*card.Card, int)) func(*card.Card, string) error {
	return func(c *card.Card, arg string) error {
		n := def
		if arg != "" || def < 0 {
			var err error
			if n, err = strconv.Atoi(arg); err != nil || n < 0 {
				return fmt.Errorf("%q is not a number", arg)
			}
		}
		set(c, n)
		return nil
	}
}
