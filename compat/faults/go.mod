module github.com/fleet-hsm/fleet-hsm/compat/faults

go 1.26.0

require (
	github.com/fleet-hsm/fleet-hsm/compat/fleetclient v0.0.0
	github.com/theupdateframework/go-tuf v0.5.2
	golang.org/x/sys v0.49.0
)

require github.com/secure-systems-lab/go-securesystemslib v0.4.0 // indirect

replace github.com/fleet-hsm/fleet-hsm/compat/fleetclient => ../fleetclient
