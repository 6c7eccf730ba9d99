//go:build cgo && linux

package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestModulesOfTheProgram: what is linked into the program that signs with root. A vendor's
// library is behind a plug-in, in a process of its own: whoever adds one here says in the
// commit what it spares.
func TestModulesOfTheProgram(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	have := strings.Fields(string(out))
	slices.Sort(have)
	have = slices.Compact(have)
	want := strings.Fields(modules)
	for _, m := range have {
		if !slices.Contains(want, m) {
			t.Errorf("%s is linked into the program", m)
		}
	}
	for _, m := range want {
		if !slices.Contains(have, m) {
			t.Errorf("%s is not linked into the program any more; take it out of the list", m)
		}
	}
}

const modules = `
github.com/aws/aws-sdk-go-v2
github.com/aws/aws-sdk-go-v2/config
github.com/aws/aws-sdk-go-v2/credentials
github.com/aws/aws-sdk-go-v2/feature/ec2/imds
github.com/aws/aws-sdk-go-v2/internal/configsources
github.com/aws/aws-sdk-go-v2/internal/endpoints/v2
github.com/aws/aws-sdk-go-v2/internal/v4a
github.com/aws/aws-sdk-go-v2/service/internal/accept-encoding
github.com/aws/aws-sdk-go-v2/service/internal/presigned-url
github.com/aws/aws-sdk-go-v2/service/signin
github.com/aws/aws-sdk-go-v2/service/sso
github.com/aws/aws-sdk-go-v2/service/ssooidc
github.com/aws/aws-sdk-go-v2/service/sts
github.com/aws/smithy-go
github.com/beorn7/perks
github.com/cavaliergopher/cpio
github.com/cenkalti/backoff/v5
github.com/cespare/xxhash/v2
github.com/coreos/go-systemd/v22
github.com/dustin/go-humanize
github.com/fleet-hsm/fleet-hsm
github.com/go-piv/piv-go/v2
github.com/google/go-containerregistry
github.com/google/rpmpack
github.com/google/uuid
github.com/klauspost/compress
github.com/klauspost/cpuid/v2
github.com/klauspost/crc32
github.com/klauspost/pgzip
github.com/miekg/pkcs11
github.com/minio/crc64nvme
github.com/minio/md5-simd
github.com/minio/minio-go/v7
github.com/munnerz/goautoneg
github.com/opencontainers/go-digest
github.com/philhofer/fwd
github.com/prometheus/client_golang
github.com/prometheus/client_model
github.com/prometheus/common
github.com/prometheus/procfs
github.com/rs/xid
github.com/secure-systems-lab/go-securesystemslib
github.com/sigstore/protobuf-specs
github.com/sigstore/sigstore
github.com/spf13/cobra
github.com/spf13/pflag
github.com/theupdateframework/go-tuf/v2
github.com/tinylib/msgp
github.com/ulikunitz/xz
github.com/zeebo/xxh3
go.yaml.in/yaml/v3
golang.org/x/crypto
golang.org/x/net
golang.org/x/sys
golang.org/x/term
golang.org/x/text
google.golang.org/genproto/googleapis/api
google.golang.org/protobuf
gopkg.in/ini.v1
`
