package store

import (
	"net/http"
	"sync"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// anonymousFor is how long nobody looks again for credentials that were not found.
const anonymousFor = 5 * time.Minute

// metadataTimeout bounds the question for the role of the machine, so that machines
// in no cloud do not wait long.
const metadataTimeout = 2 * time.Second

// standardChain looks for credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
// MINIO_ACCESS_KEY and MINIO_SECRET_KEY, the AWS credentials file (AWS_PROFILE), the
// configuration of mc, then the role of the machine or container.
func standardChain() *credentials.Credentials {
	return credentials.New(&rememberNone{Chain: credentials.Chain{Providers: []credentials.Provider{
		&credentials.EnvAWS{}, &credentials.EnvMinio{},
		&credentials.FileAWSCredentials{}, &credentials.FileMinioClient{},
		&credentials.IAM{Client: &http.Client{Timeout: metadataTimeout}},
	}}})
}

// rememberNone is a chain that remembers that it found nothing; the library's own
// would ask the network again before every anonymous request.
type rememberNone struct {
	credentials.Chain
	mu    sync.Mutex
	until time.Time
}

// Retrieve implements credentials.Provider.
func (r *rememberNone) Retrieve() (credentials.Value, error) {
	return r.remember(r.Chain.Retrieve())
}

// RetrieveWithCredContext implements credentials.Provider.
func (r *rememberNone) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	return r.remember(r.Chain.RetrieveWithCredContext(cc))
}

func (r *rememberNone) remember(v credentials.Value, err error) (credentials.Value, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.until = time.Time{}
	if err == nil && v.SignerType.IsAnonymous() {
		r.until = time.Now().Add(anonymousFor)
	}
	return v, err
}

// IsExpired implements credentials.Provider.
func (r *rememberNone) IsExpired() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !time.Now().Before(r.until) && r.Chain.IsExpired()
}
