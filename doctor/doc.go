// Package doctor finds what is wrong before the day it matters: with the repository's dates
// and history, with the keys that root names and the devices they are on, with a store, and
// with the certificates that prove where keys were born. It asks for no secret, unless it is
// to sign ([Examination.Sign]), and what it signs can never be metadata.
package doctor
