package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/fleet-hsm/fleet-hsm/store/repotest"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// faulty is what a publish and a probe make of one fault. A report from the field is one
// line here and one in s3test/faults.go.
type faulty struct {
	fault    s3test.Fault
	settings string // parameters of the URL
	large    bool   // with a file that goes in parts
	// publish is the error of a second publish, over one that went well without the
	// fault; nil: it works.
	publish error
	// probe lists the findings that are not ok; setting is the one that it names.
	probe, setting string
}

var (
	errGateway   = errors.New("GatewayError")
	errCondition = errors.New("ConditionError")
	errAny       = errors.New("any error that is nobody else's fault")
)

func faults() []faulty {
	return []faulty{
		{fault: s3test.None()},
		{fault: s3test.ObjectLock(), large: true},
		{fault: s3test.Versioned()},
		{fault: s3test.Encrypted("AES256", ""), publish: fs.ErrPermission, probe: "write", setting: "sse=AES256"},
		{fault: s3test.Encrypted("AES256", ""), settings: "sse=AES256"},
		{fault: s3test.Encrypted("aws:kms", ""), publish: fs.ErrPermission, probe: "write", setting: "sse=aws:kms"},
		{fault: s3test.Encrypted("aws:kms", "k1"), settings: "sse=aws:kms:k1", large: true},
		{fault: s3test.Encrypted("aws:kms", "k1"), settings: "sse=aws:kms:k2", publish: fs.ErrPermission, probe: "write"},
		{fault: s3test.RequesterPays(), publish: fs.ErrPermission, probe: "write", setting: "payer=requester"},
		{fault: s3test.RequesterPays(), settings: "payer=requester", large: true},
		{fault: s3test.WriteOnce(), publish: fs.ErrPermission, probe: "if-match one-winner read-after-write delete"},
		{fault: s3test.NoDelete(), probe: "delete"},
		{fault: s3test.NoList(), probe: "list"},
		{fault: s3test.NoParts(), large: true},
		{fault: s3test.WeakETags(), large: true},
		{fault: s3test.BareETags()},
		{fault: s3test.SuffixedETags(), large: true, publish: errCondition, probe: "if-match one-winner large-file"},
		{fault: s3test.NoETags(), publish: ErrUnsupported, probe: "if-match one-winner large-file"},
		{fault: s3test.NoMetadata()},
		{fault: s3test.NoLength()},
		{fault: s3test.NoConditions(), probe: "if-none-match if-match one-winner"},
		{fault: s3test.RefusedConditions(), publish: errCondition, probe: "if-match one-winner"},
		{fault: s3test.LoginPage(), publish: errGateway, probe: "write"},
		{fault: s3test.PlainPage(), publish: errAny, probe: "write"},
		{fault: s3test.LoginRedirect(), publish: errGateway, probe: "write"},
		{fault: s3test.Firewall(), publish: errGateway, probe: "write"},
		{fault: s3test.SmallBodies(4 << 20), large: true, publish: errGateway},
		{fault: s3test.Damaged(), publish: errAny, probe: "write"},
	}
}

func (f faulty) matches(err error) bool {
	var gateway *GatewayError
	var condition *ConditionError
	switch f.publish {
	case nil:
		return err == nil
	case errGateway:
		return errors.As(err, &gateway)
	case errCondition:
		return errors.As(err, &condition)
	case errAny:
		return err != nil
	}
	return errors.Is(err, f.publish)
}

// TestFaults: what a bucket's rules and the things in front of it do either works, with
// the setting that helps, or is named, by publish and by a probe. None of it is ever
// taken for another machine that published.
func TestFaults(t *testing.T) {
	srv := s3test.Start(t)
	for i, f := range faults() {
		t.Run(f.fault.Name+" "+f.settings, func(t *testing.T) {
			t.Parallel()
			prefix := fmt.Sprintf("fault-%d", i)
			r := repotest.New(t, true)
			r.Targets["orbit/linux/1/orbit"] = []byte("one")
			r.Commit()
			publish(t, openTest(t, srv.URL(prefix), OpenOptions{}), options(r))
			r.Targets["osqueryd/linux/2/osqueryd"] = []byte("two")
			if f.large {
				r.Targets["osqueryd/linux/2/osqueryd"] = make([]byte, partSize+1)
			}
			r.Commit()

			proxy := srv.Behind(t, f.fault)
			var settings []string
			if f.settings != "" {
				settings = append(settings, f.settings)
			}
			s := openTest(t, proxy.URL(prefix, settings...), OpenOptions{Retries: 2, CAFile: proxy.CAFile})
			f.publishes(t, s, r)
			f.probes(t, s)
		})
	}
}

func (f faulty) publishes(t *testing.T, s Store, r *repotest.Repo) {
	t.Helper()
	p, err := MakePlan(t.Context(), s, options(r))
	if err == nil {
		_, err = p.Publish(t.Context())
	}
	if !f.matches(err) {
		t.Errorf("publish: %v; wanted %v", err, f.publish)
	}
	for _, others := range []error{ErrPrecondition, ErrAhead, ErrDiverged, ErrStaleTimestamp} {
		if errors.Is(err, others) {
			t.Errorf("publish blames another machine: %v", err)
		}
	}
}

func (f faulty) probes(t *testing.T, s Store) {
	t.Helper()
	var bad, setting, texts []string
	for _, found := range Probe(t.Context(), s) {
		if found.OK {
			continue
		}
		bad, texts = append(bad, found.Code), append(texts, found.Text)
		if found.Setting != "" {
			setting = append(setting, found.Setting)
		}
	}
	if strings.Join(bad, " ") != f.probe || strings.Join(setting, " ") != f.setting {
		t.Errorf("the probe finds %q and names %q, wanted %q and %q: %q", bad, setting, f.probe, f.setting, texts)
	}
}
