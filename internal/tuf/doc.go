// Package tuf reads TUF metadata, once for every package of ours that does: what an
// envelope is ([OpenEnvelope]), what a root and its keys are ([ParseRoot], [KeyObject]),
// what a key ID is ([KeyID]), how metadata names another file ([FileMeta]), how large a
// file may be ([MaxSize]), and which versions there are ([NextVersion], [CheckVersion]).
// Whoever parses a document into its types has refused, by that alone, what nobody honest
// writes: no later place has to ask again. Signatures are counted by who asks for them.
//
// Package verify does not use it: a judge that shares the parser of the accused finds
// nothing.
package tuf
