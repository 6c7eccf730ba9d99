package watch

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what Prometheus reads. A nil *Metrics keeps nothing.
type Metrics struct {
	clock func() time.Time

	polls, events              *prometheus.CounterVec
	findings, version, success *prometheus.GaugeVec
	lastPoll                   prometheus.Gauge
	took                       prometheus.Histogram
	expiryDesc                 *prometheus.Desc

	mu      sync.Mutex
	expires map[place]time.Time
}

type place struct{ address, role string }

// NewMetrics registers the metrics. now is the clock that expiry is reckoned with.
func NewMetrics(reg prometheus.Registerer, now func() time.Time) *Metrics {
	const prefix = "fleet_hsm_watch_"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + name, Help: help}, labels)
	}
	m := &Metrics{
		clock:      now,
		expires:    map[place]time.Time{},
		polls:      counter("looks_total", "Readings of an address, by outcome.", "address", "outcome"),
		events:     counter("events_total", "Findings that began, by kind.", "kind"),
		findings:   gauge("findings", "Findings that are open, by kind and address.", "kind", "address"),
		version:    gauge("role_version", "Version that an address shows, by role.", "address", "role"),
		success:    gauge("last_success_timestamp_seconds", "Unix time when an address last answered.", "address"),
		lastPoll:   prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + "last_poll_timestamp_seconds", Help: "Unix time of the last poll."}),
		took:       prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + "poll_seconds", Help: "Time that a poll of all addresses took.", Buckets: prometheus.ExponentialBuckets(0.01, 4, 8)}),
		expiryDesc: prometheus.NewDesc(prefix+"role_expiry_seconds", "Seconds until what an address shows expires; negative after.", []string{"address", "role"}, nil),
	}
	// Counters that an alert looks at exist before the first event.
	for _, k := range Kinds() {
		m.events.WithLabelValues(string(k.Kind))
	}
	reg.MustRegister(m.polls, m.events, m.findings, m.version, m.success, m.lastPoll, m.took, watchExpiry{m})
	return m
}

// watchExpiry reckons the time left when it is asked.
type watchExpiry struct{ m *Metrics }

// Describe implements prometheus.Collector.
func (e watchExpiry) Describe(ch chan<- *prometheus.Desc) { ch <- e.m.expiryDesc }

// Collect implements prometheus.Collector.
func (e watchExpiry) Collect(ch chan<- prometheus.Metric) {
	e.m.mu.Lock()
	defer e.m.mu.Unlock()
	now := e.m.clock()
	for p, t := range e.m.expires {
		ch <- prometheus.MustNewConstMetric(e.m.expiryDesc, prometheus.GaugeValue, t.Sub(now).Seconds(), p.address, p.role)
	}
}

func (m *Metrics) event(k Kind) {
	if m != nil {
		m.events.WithLabelValues(string(k)).Inc()
	}
}

// looked notes what an address that answered showed.
func (m *Metrics) looked(now time.Time, l look) {
	if m == nil {
		return
	}
	m.success.WithLabelValues(l.name).Set(float64(now.Unix()))
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range topLevel() {
		role, ok := l.report.Role(name)
		if !ok || role.Version == 0 {
			continue
		}
		m.version.WithLabelValues(l.name, name).Set(float64(role.Version))
		m.expires[place{l.name, name}] = role.Expires
	}
}

// polled notes the end of a poll.
func (m *Metrics) polled(now time.Time, took time.Duration, s *Service) {
	if m == nil {
		return
	}
	m.lastPoll.Set(float64(now.Unix()))
	m.took.Observe(took.Seconds())
	m.findings.Reset()
	wrong := map[string]string{}
	for _, a := range s.cfg.Addresses {
		wrong[a.Name] = "ok"
		for _, k := range Kinds() {
			m.findings.WithLabelValues(string(k.Kind), a.Name)
		}
	}
	for _, f := range s.Findings() {
		m.findings.WithLabelValues(string(f.Kind), f.Address).Inc()
		if f.Kind == Unreachable {
			wrong[f.Address] = "unreachable"
		} else if wrong[f.Address] == "ok" {
			wrong[f.Address] = "found"
		}
	}
	for _, a := range s.cfg.Addresses {
		m.polls.WithLabelValues(a.Name, wrong[a.Name]).Inc()
	}
}
