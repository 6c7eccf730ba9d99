// Package childenv is the environment of somebody else's program that the tool starts: all
// of ours without secrets, except those that the program is meant to have. A variable that
// one of our own secrets is taken from is handed to nobody.
package childenv

import (
	"net/url"
	"slices"
	"strings"
)

// Of drops what holds secrets from an environment: ours always, and others unless they are
// meant for the program. withheld are the names of those others.
func Of(env []string, meant func(name string) bool) (given, withheld []string) {
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		switch {
		case isOurs(name):
		case !isSecret(name, value), meant(name):
			given = append(given, kv)
		default:
			withheld = append(withheld, name)
		}
	}
	return given, withheld
}

// isOurs: a variable that one of our own secrets is taken from.
func isOurs(name string) bool {
	ours := strings.HasPrefix(name, "FLEET_") || strings.HasPrefix(name, "TUF_")
	return ours && (strings.HasSuffix(name, "_PASSPHRASE") || strings.HasSuffix(name, "_PIN"))
}

// isSecret judges a variable by the words of its name, and an address by a password in
// it: AWS_SECRET_ACCESS_KEY, VAULT_TOKEN, PGPASSWORD, DATABASE_URL. What only names a
// file, a folder or a socket stays: SSH_AUTH_SOCK, AWS_WEB_IDENTITY_TOKEN_FILE.
func isSecret(name, value string) bool {
	name = strings.ToUpper(name)
	words := strings.Split(name, "_")
	last := words[len(words)-1]
	switch {
	case slices.Contains([]string{"FILE", "SOCK", "PATH", "DIR", "HOME", "URI", "ENDPOINT"}, last), name == "PWD", name == "OLDPWD":
		return false
	case slices.Contains([]string{"KEY", "PASS", "PWD", "AUTH", "SESSION", "COOKIE"}, last), strings.HasPrefix(name, "OP_SESSION_"):
		return true
	}
	for _, word := range words {
		if slices.Contains([]string{"PIN", "PUK", "TOKEN", "APIKEY", "CREDENTIAL", "CREDENTIALS", "PRIVATE"}, word) {
			return true
		}
	}
	for _, part := range []string{"PASSW", "PASSPHRASE", "SECRET", "TOKEN"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	u, err := url.Parse(value)
	if err != nil || u.User == nil || last == "PROXY" {
		return false
	}
	_, has := u.User.Password()
	return has
}
