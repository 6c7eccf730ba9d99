package installer

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
)

// maxInput bounds what is read of a certificate or a list of flags.
const maxInput = 4 << 20

// bundles is where systems keep the authorities that they trust.
func bundles() []string {
	return []string{os.Getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}
}

// readFiles reads what flags name, before any byte is brought.
func (b *builder) readFiles() (err error) {
	if b.bundle, err = readBundle(); err != nil {
		return err
	}
	if b.fleetCert, err = readCertificates("--fleet-certificate", b.o.FleetCertificate); err != nil {
		return err
	}
	if b.updateCert, err = readCertificates("--update-tls-certificate", b.o.UpdateCertificate); err != nil {
		return err
	}
	if b.o.OsqueryFlags == "" {
		b.flags = []byte{}
		return nil
	}
	if b.flags, err = readInput(b.o.OsqueryFlags); err != nil {
		return &Error{Kind: Option, About: "--osquery-flagfile", Text: "cannot be read", Err: err}
	}
	return nil
}

// readBundle reads the authorities that osquery is to trust.
func readBundle() ([]byte, error) {
	for _, name := range bundles() {
		if name == "" {
			continue
		}
		if data, err := readInput(name); err == nil && holdsCertificate(data) {
			return data, nil
		}
	}
	return nil, wrong("this machine", "has no bundle of certificate authorities for osquery; install ca-certificates, or name one with SSL_CERT_FILE")
}

// readCertificates reads a file of a flag; nothing if the flag was not given.
func readCertificates(flag, name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	data, err := readInput(name)
	if err != nil {
		return nil, &Error{Kind: Option, About: flag, Text: "cannot be read", Err: err}
	}
	if !holdsCertificate(data) {
		return nil, wrong(flag, "%q holds no certificate in PEM", name)
	}
	return data, nil
}

// holdsCertificate: every block is a certificate, and there is one.
func holdsCertificate(data []byte) bool {
	n := 0
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return n > 0
		}
		if _, err := x509.ParseCertificate(block.Bytes); block.Type != "CERTIFICATE" || err != nil && n == 0 {
			return false
		}
		n++
	}
}

func readInput(name string) ([]byte, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	if err == nil && len(data) > maxInput {
		err = fmt.Errorf("%q is larger than %d bytes", name, maxInput)
	}
	return data, err
}
