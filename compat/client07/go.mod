module github.com/fleet-hsm/fleet-hsm/compat/client07

go 1.26.0

require github.com/theupdateframework/go-tuf v0.7.0

require (
	github.com/secure-systems-lab/go-securesystemslib v0.7.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
)

require github.com/fleet-hsm/fleet-hsm/compat/judge v0.0.0

replace github.com/fleet-hsm/fleet-hsm/compat/judge => ../judge
