//go:build !linux

package owned

func readOnly(string) bool { return false }

func hasACL(string) bool { return false }

func ownerless(string) string { return "" }
