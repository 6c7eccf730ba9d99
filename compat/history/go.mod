module github.com/fleet-hsm/fleet-hsm/compat/history

go 1.26.0

require (
	github.com/fleet-hsm/fleet-hsm v0.0.0
	github.com/fleet-hsm/fleet-hsm/compat/fleetclient v0.0.0
	github.com/secure-systems-lab/go-securesystemslib v0.11.1
)

require (
	github.com/cenkalti/backoff/v5 v5.0.3 // indirect
	github.com/google/go-containerregistry v0.20.7 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/sigstore/protobuf-specs v0.5.0 // indirect
	github.com/sigstore/sigstore v1.10.6 // indirect
	github.com/theupdateframework/go-tuf v0.7.0 // indirect
	github.com/theupdateframework/go-tuf/v2 v2.4.2 // indirect
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/term v0.48.0 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20250825161204-c5933d9347a5 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

// fleetctl and Fleet's agents are built with this one; something of ours asks for more.
replace github.com/theupdateframework/go-tuf => github.com/theupdateframework/go-tuf v0.5.2

replace (
	github.com/fleet-hsm/fleet-hsm => ../..
	github.com/fleet-hsm/fleet-hsm/compat/fleetclient => ../fleetclient
)
