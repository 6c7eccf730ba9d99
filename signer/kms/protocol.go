package kms

import "time"

// The protocol's words, as sigstore 1.10 has them.
const (
	protocolVersion   = "v1"
	sha256            = 5 // crypto.SHA256
	methodPublicKey   = "publicKey"
	methodSign        = "signMessage"
	methodCreate      = "createKey"
	methodDefaultAlg  = "defaultAlgorithm"
	methodSupportedAl = "supportedAlgorithms"
)

// request is argv[2]. Plug-ins made with sigstore's library read every option without
// looking whether it is there, so all are there.
type request struct {
	Init   initOptions `json:"initOptions"`
	Method string      `json:"methodName"`

	PublicKey   *publicKeyArgs `json:"publicKey,omitempty"`
	Sign        *signArgs      `json:"signMessage,omitempty"`
	Create      *createArgs    `json:"createKey,omitempty"`
	DefaultAlg  *struct{}      `json:"defaultAlgorithm,omitempty"`
	SupportedAl *struct{}      `json:"supportedAlgorithms,omitempty"`
}

type initOptions struct {
	Deadline        time.Time  `json:"ctxDeadline"`
	ProtocolVersion string     `json:"protocolVersion"`
	KeyResourceID   string     `json:"keyResourceID"`
	HashFunc        int        `json:"hashFunc"`
	RPC             rpcOptions `json:"rpcOptions"`
}

type rpcOptions struct {
	Deadline           time.Time `json:"ctxDeadline"`
	KeyVersion         string    `json:"keyVersion"`
	RemoteVerification bool      `json:"remoteVerification"`
}

type publicKeyArgs struct {
	Options struct {
		RPC rpcOptions `json:"rpcOptions"`
	} `json:"publicKeyOptions"`
}

type signArgs struct {
	Options struct {
		RPC     rpcOptions `json:"rpcOptions"`
		Message struct{}   `json:"messageOptions"`
	} `json:"signOptions"`
}

type createArgs struct {
	Deadline  time.Time `json:"ctxDeadline"`
	Algorithm string    `json:"algorithm"`
}

// newRequest fills what every call has.
func newRequest(method, ref, algorithm string, deadline time.Time) request {
	rpc := rpcOptions{Deadline: deadline}
	r := request{Method: method, Init: initOptions{Deadline: deadline, ProtocolVersion: protocolVersion, KeyResourceID: ref, HashFunc: sha256, RPC: rpc}}
	switch method {
	case methodPublicKey:
		r.PublicKey = &publicKeyArgs{}
		r.PublicKey.Options.RPC = rpc
	case methodSign:
		r.Sign = &signArgs{}
		r.Sign.Options.RPC = rpc
	case methodCreate:
		r.Create = &createArgs{Deadline: deadline, Algorithm: algorithm}
	case methodDefaultAlg:
		r.DefaultAlg = &struct{}{}
	case methodSupportedAl:
		r.SupportedAl = &struct{}{}
	}
	return r
}

// answer is what a plug-in writes. A field that is not there is nil.
type answer struct {
	ErrorMessage string `json:"errorMessage"`

	PublicKey *struct {
		PEM []byte `json:"publicKeyPEM"`
	} `json:"publicKey"`
	Create *struct {
		PEM []byte `json:"publicKeyPEM"`
	} `json:"createKey"`
	Sign *struct {
		Signature []byte `json:"signature"`
	} `json:"signMessage"`
	DefaultAlg *struct {
		Name string `json:"defaultAlgorithm"`
	} `json:"defaultAlgorithm"`
	SupportedAl *struct {
		Names []string `json:"supportedAlgorithms"`
	} `json:"supportedAlgorithms"`
}
