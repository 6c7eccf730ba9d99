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
dario.cat/mergo
github.com/AlekSi/pointer
github.com/Masterminds/goutils
github.com/Masterminds/semver/v3
github.com/Masterminds/sprig/v3
github.com/ProtonMail/go-crypto
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
github.com/blakesmith/ar
github.com/cavaliergopher/cpio
github.com/cenkalti/backoff/v5
github.com/cespare/xxhash/v2
github.com/cloudflare/circl
github.com/coreos/go-systemd/v22
github.com/cpuguy83/go-md2man/v2
github.com/cyphar/filepath-securejoin
github.com/dustin/go-humanize
github.com/emirpasic/gods
github.com/fleet-hsm/fleet-hsm
github.com/go-git/gcfg
github.com/go-git/go-billy/v5
github.com/go-git/go-git/v5
github.com/go-piv/piv-go/v2
github.com/gobwas/glob
github.com/golang/groupcache
github.com/google/go-containerregistry
github.com/google/rpmpack
github.com/google/uuid
github.com/goreleaser/chglog
github.com/goreleaser/fileglob
github.com/goreleaser/nfpm/v2
github.com/huandu/xstrings
github.com/jbenet/go-context
github.com/kevinburke/ssh_config
github.com/klauspost/compress
github.com/klauspost/cpuid/v2
github.com/klauspost/crc32
github.com/klauspost/pgzip
github.com/miekg/pkcs11
github.com/minio/crc64nvme
github.com/minio/md5-simd
github.com/minio/minio-go/v7
github.com/mitchellh/copystructure
github.com/mitchellh/reflectwalk
github.com/munnerz/goautoneg
github.com/opencontainers/go-digest
github.com/philhofer/fwd
github.com/pjbgf/sha1cd
github.com/prometheus/client_golang
github.com/prometheus/client_model
github.com/prometheus/common
github.com/prometheus/procfs
github.com/rs/xid
github.com/russross/blackfriday/v2
github.com/secure-systems-lab/go-securesystemslib
github.com/sergi/go-diff
github.com/shopspring/decimal
github.com/sigstore/protobuf-specs
github.com/sigstore/sigstore
github.com/skeema/knownhosts
github.com/spf13/cast
github.com/spf13/cobra
github.com/spf13/pflag
github.com/theupdateframework/go-tuf/v2
github.com/tinylib/msgp
github.com/ulikunitz/xz
github.com/xanzy/ssh-agent
github.com/zeebo/xxh3
gitlab.com/digitalxero/go-conventional-commit
go.yaml.in/yaml/v3
golang.org/x/crypto
golang.org/x/net
golang.org/x/sys
golang.org/x/term
golang.org/x/text
google.golang.org/genproto/googleapis/api
google.golang.org/protobuf
gopkg.in/ini.v1
gopkg.in/warnings.v0
`
