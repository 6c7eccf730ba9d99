#!/bin/sh
# Builds the S3 server that the tests start on loopback, once, and prints the path
# of the binary on stdout. The first run takes minutes; later ones only look.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's|^.*github.com/versity/versitygw \(v[0-9.]*\).*$|\1|p' "$here/go.mod" | head -n 1)
cache=${FLEET_HSM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fleet-hsm}
bin=$cache/versitygw-$version-$(go env GOOS)-$(go env GOARCH)
if [ ! -x "$bin" ]; then
	mkdir -p "$cache"
	tmp=$(mktemp "$cache/.versitygw-XXXXXX")
	trap 'rm -f "$tmp"' EXIT
	echo "building versitygw $version, once; this takes minutes" >&2
	nice -n 10 go build -C "$here" -o "$tmp" github.com/versity/versitygw/cmd/versitygw >&2
	# A second build that ran meanwhile put the same program there.
	mv -f "$tmp" "$bin"
	trap - EXIT
fi
printf '%s\n' "$bin"
