// Command mutants plants faults in the tree, one at a time, and wants the tests of the
// package that it broke to fail. It judges the tests, not the code.
//
// A fault is a section of a txtar file in mutants/faults, one file for each package:
//
//	-- name-of-the-fault | repo/commit.go | TestOrder --
//	text that stands once in the file
//	====
//	text that takes its place
//
// The name says what goes wrong. The third part is optional: a test to try first, since
// one test is quicker than all of them; if it passes, the whole package gets its say.
// The tree itself is never written: the compiler reads the broken file through its
// -overlay flag.
//
//	go run ./mutants               every fault
//	go run ./mutants -sample 12    every n-th fault, 12 in all
//	go run ./mutants -run order    faults whose name or file matches
//	go run ./mutants -check        only look whether each fault still fits its file
//
// It exits with 1 if a fault was not caught, no longer fits its file, or does not
// compile.
package main
