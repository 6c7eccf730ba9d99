//go:build !linux

// Package localkms runs a KMS for tests; it takes Linux's networks.
package localkms
