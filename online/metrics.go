package online

import (
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what Prometheus reads; the package doc lists them. A nil *Metrics keeps
// nothing.
type Metrics struct {
	clock func() time.Time

	checks, failures, signatures, keyErrors, reconnects *prometheus.CounterVec

	rejectedSnapshots prometheus.Counter
	wentBack          prometheus.Counter
	requests          *prometheus.HistogramVec
	lastSuccess       prometheus.Gauge
	version           *prometheus.GaugeVec
	expiryDesc        *prometheus.Desc

	mu      sync.Mutex
	expires map[string]time.Time
}

// NewMetrics registers the metrics. now is the clock that expiry is reckoned with;
// nil is the system's.
func NewMetrics(reg prometheus.Registerer, now func() time.Time) *Metrics {
	if now == nil {
		now = time.Now
	}
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "fleet_hsm_" + name, Help: help}, []string{label})
	}
	m := &Metrics{
		clock:             now,
		expires:           map[string]time.Time{},
		checks:            counter("checks_total", "Checks of the store by outcome.", "outcome"),
		failures:          counter("failures_total", "Failed checks by cause.", "cause"),
		signatures:        counter("signatures_total", "Signatures made, by key.", "key"),
		keyErrors:         counter("key_errors_total", "Openings of a key and signatures that failed, by key.", "key"),
		reconnects:        counter("key_reconnects_total", "Openings of a key after the first, by key.", "key"),
		rejectedSnapshots: prometheus.NewCounter(prometheus.CounterOpts{Name: "fleet_hsm_rejected_snapshots_total", Help: "Newer snapshots in the store that were not good."}),
		wentBack:          prometheus.NewCounter(prometheus.CounterOpts{Name: "fleet_hsm_store_went_back_total", Help: "Checks that found the store older than what was in force, or with a version that cannot be honest."}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "fleet_hsm_store_request_seconds", Help: "Time that the store took for a request.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"operation"}),
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{Name: "fleet_hsm_last_success_timestamp_seconds", Help: "Unix time of the last check that went well."}),
		version:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "fleet_hsm_role_version", Help: "Version in force, by role."}, []string{"role"}),
		expiryDesc:  prometheus.NewDesc("fleet_hsm_role_expiry_seconds", "Seconds until the role's metadata expires; negative after.", []string{"role"}, nil),
	}
	// Counters that an alert looks at exist before the first event.
	for _, o := range []Outcome{Signed, Fresh, OtherWriter, "failed"} {
		m.checks.WithLabelValues(string(o))
	}
	for _, c := range causes() {
		m.failures.WithLabelValues(c.name)
	}
	m.failures.WithLabelValues("other")
	reg.MustRegister(m.checks, m.failures, m.signatures, m.keyErrors, m.reconnects, m.rejectedSnapshots, m.wentBack, m.requests, m.lastSuccess, m.version, expiry{m})
	return m
}

// keys begins the series of each key, so that an alert sees the first error too.
func (m *Metrics) keys(list []KeySource) {
	if m == nil {
		return
	}
	for _, k := range list {
		m.signatures.WithLabelValues(k.Name())
		m.keyErrors.WithLabelValues(k.Name())
		m.reconnects.WithLabelValues(k.Name())
	}
}

// buildInfo is always 1, and says which program it is.
func buildInfo(reg prometheus.Registerer, version string) {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "fleet_hsm_build_info", Help: "Always 1; the labels say which program this is."}, []string{"version", "goversion"})
	g.WithLabelValues(version, runtime.Version()).Set(1)
	reg.MustRegister(g)
}

// expiry reckons the time left when it is asked, so that it falls even while no check
// succeeds.
type expiry struct{ m *Metrics }

// Describe implements prometheus.Collector.
func (e expiry) Describe(ch chan<- *prometheus.Desc) { ch <- e.m.expiryDesc }

// Collect implements prometheus.Collector.
func (e expiry) Collect(ch chan<- prometheus.Metric) {
	e.m.mu.Lock()
	defer e.m.mu.Unlock()
	now := e.m.clock()
	for role, t := range e.m.expires {
		ch <- prometheus.MustNewConstMetric(e.m.expiryDesc, prometheus.GaugeValue, t.Sub(now).Seconds(), role)
	}
}

func (m *Metrics) role(name string, version int64, expires time.Time) {
	if m == nil {
		return
	}
	m.version.WithLabelValues(name).Set(float64(version))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expires[name] = expires
}

func (m *Metrics) request(operation string, took time.Duration) {
	if m != nil {
		m.requests.WithLabelValues(operation).Observe(took.Seconds())
	}
}

func (m *Metrics) failed(err error) {
	if m == nil {
		return
	}
	m.checks.WithLabelValues("failed").Inc()
	m.failures.WithLabelValues(Cause(err)).Inc()
	if WentBack(err) {
		m.wentBack.Inc()
	}
}

func (m *Metrics) succeeded(o Outcome, at time.Time) {
	if m != nil {
		m.checks.WithLabelValues(string(o)).Inc()
		m.lastSuccess.Set(float64(at.Unix()))
	}
}

func (m *Metrics) signature(key string) {
	if m != nil {
		m.signatures.WithLabelValues(key).Inc()
	}
}

func (m *Metrics) keyError(key string) {
	if m != nil {
		m.keyErrors.WithLabelValues(key).Inc()
	}
}

func (m *Metrics) reconnect(key string) {
	if m != nil {
		m.reconnects.WithLabelValues(key).Inc()
	}
}

func (m *Metrics) rejected() {
	if m != nil {
		m.rejectedSnapshots.Inc()
	}
}
