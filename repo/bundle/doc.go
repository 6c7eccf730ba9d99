// Package bundle carries a staged change from one machine to another. A [Bundle] is the
// change with everything that the other machine needs to check it and to say what it means:
// the published roots, the published targets, and what is being signed, each as its metadata
// file.
//
// [Import] believes nothing of it but what signatures and the numbers say, and needs no
// repository. Two questions are left: whether the chain of roots is the right one
// ([Verified.Trust], for who has a root and no repository), and whether it belongs to the
// repository that is here ([CheckOrigin]). How it is written into a file is package
// ceremony's.
package bundle
