// Package prompt is the person: where they are asked, and where words for them leave the tool: what stands on stdout as
// text, notes, warnings, errors, hints, questions at the terminal, tables and bars.
// Nothing else prints, and a test holds that (TestOneWriter in cmd/fleet-hsm).
//
// # Who is asked
//
// [Person] is the person at the terminal, as a signer.UI: PINs, passphrases, touches, cards
// to insert, a typed yes. A secret is looked for in this order, and the first source that
// applies is the only one: the URI's pin-source, secrets: of the configuration, the flag of
// the command, the variables of the role, the terminal. A source is offered to one device,
// once. Somebody else's program that gives a secret (cmd:) gets none of ours, and is ended
// with its children when it takes too long.
//
// Who holds a lock while a person is asked gives it away themselves: a Person knows nothing
// of locks, and tells beforehand whether somebody would be asked ([Person.Asks],
// [Person.HasTerminal]).
//
// # Whose words
//
// The format of [Writer.Printf] is ours; every argument that is no number is somebody
// else's, unless it is a [Text], which only this package makes. What others wrote comes
// out as one piece that cannot move the cursor, turn or hide a neighbour, or look like
// the end of a line ([Escape]): control characters and newlines, bidirectional, zero-width
// and other format characters, private and unassigned ones, blanks of other widths,
// stacked marks and bytes that are no UTF-8 are shown as escapes, and so is every blank
// behind a blank.
//
// Three forms are for texts whose author may be hostile, such as the name of a key in a
// request:
//
//	Name   quoted, in ASCII, 40 characters of it; says what was cut
//	Quote  the same with 200 characters, for sentences
//	Path   in full; bare if it is letters, digits and "._/+@=:~-" alone, else quoted
//
// # Lines
//
// On a terminal a line that is longer than the screen is wrapped here, not by the
// terminal: what follows stands behind the mark "  > ". No line of ours begins so, and
// no text of others begins a line. In a pipe a line stays a line, but for
// [Writer.Review], which is wrapped everywhere: to 80 columns where nobody knows better.
//
// # Colours
//
// Only words of ours are coloured, by what they mean ([Meaning], [Writer.Marked]): the word
// with which a line begins, as the format has it, such as "warning:". [Writer.Colour] says
// when; a pipe, NO_COLOR and TERM=dumb have none unless it is asked for.
//
// JSON keeps its meaning: what is dangerous to look at is written as \u escapes inside
// its strings ([Writer.JSON]). Data that is bytes, such as root.json, and the help text
// go through [Writer.Raw] as they are.
package prompt
