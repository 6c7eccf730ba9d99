// Package remote joins the repository of this machine, or nothing but a trusted root, with
// one that is published: a folder or bucket behind a server.
//
// [Look] reads what a server gives out and checks it from a trusted root, as a client does.
// [Publish] and [Pull] copy in the only safe order, and refuse what a client would refuse
// (package store has the order, package verify is the client). [Signer] is what the online
// signer of package online needs: the store, the root, and the timestamp keys within reach.
package remote
