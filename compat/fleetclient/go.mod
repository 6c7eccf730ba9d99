module github.com/fleet-hsm/fleet-hsm/compat/fleetclient

go 1.26.0

require (
	github.com/secure-systems-lab/go-securesystemslib v0.4.0
	github.com/theupdateframework/go-tuf v0.5.2
)

require (
	golang.org/x/crypto v0.58.0
	golang.org/x/sys v0.49.0 // indirect
)
