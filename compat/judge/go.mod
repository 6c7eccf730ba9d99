module github.com/fleet-hsm/fleet-hsm/compat/judge

go 1.26.0
