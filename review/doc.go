// Package review shows a person what a signature would mean, before they give it: one
// screen that cannot lie. Every line begins with words of ours; what others wrote (intents,
// names, paths) stands behind a label, between quotes where it has to, escaped and cut by
// package prompt; the whole hash, which two people compare, comes last.
package review
