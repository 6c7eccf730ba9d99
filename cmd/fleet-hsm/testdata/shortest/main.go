// Command shortest is the shortest program that makes one signature with a key on a
// PKCS#11 token: it loads the module, logs in, finds the key, signs and closes. What
// `fleet-hsm timestamp` takes is held against it (BenchmarkOneShotTimestamp).
//
//	shortest MODULE TOKEN LABEL PIN   signs
//	shortest                          only starts and ends
package main

import (
	"crypto/sha256"
	"os"

	"github.com/miekg/pkcs11"
)

func main() {
	if len(os.Args) < 5 {
		return
	}
	module, token, label, pin := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	c := pkcs11.New(module)
	must(0, c.Initialize())
	for _, slot := range must(c.GetSlotList(true)) {
		if must(c.GetTokenInfo(slot)).Label == token {
			sign(c, must(c.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)), label, pin)
		}
	}
	must(0, c.Finalize())
}

func sign(c *pkcs11.Ctx, session pkcs11.SessionHandle, label, pin string) {
	must(0, c.Login(session, pkcs11.CKU_USER, pin))
	must(0, c.FindObjectsInit(session, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_LABEL, label),
	}))
	found, _, err := c.FindObjects(session, 1)
	must(0, err)
	must(0, c.FindObjectsFinal(session))
	digest := sha256.Sum256([]byte("a timestamp"))
	must(0, c.SignInit(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)}, found[0]))
	must(c.Sign(session, digest[:]))
	must(0, c.CloseSession(session))
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}
