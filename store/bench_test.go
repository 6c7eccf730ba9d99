package store

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/fleet-hsm/fleet-hsm/store/repotest"
	"github.com/fleet-hsm/fleet-hsm/store/s3test"
)

// BenchmarkPublish publishes 1,000 small files into an empty bucket, beside rclone
// copying the same tree with the same parallelism, in turns; "ratio" is our time by
// rclone's. It needs rclone.
func BenchmarkPublish(b *testing.B) {
	const files, workers = 1000, 8
	for _, consistent := range []bool{false, true} {
		b.Run(fmt.Sprintf("consistent=%v", consistent), func(b *testing.B) {
			srv := s3test.Start(b)
			r := repotest.New(b, consistent)
			for i := range files {
				data := make([]byte, 4096)
				_, _ = rand.Read(data)
				r.Targets[fmt.Sprintf("c%d/linux/stable/c", i)] = data
			}
			r.Commit()
			var ours, theirs time.Duration
			for i := range b.N {
				s := openTest(b, srv.URL(fmt.Sprintf("ours-%v-%d", consistent, i)), OpenOptions{})
				start := time.Now()
				p, err := MakePlan(b.Context(), s, Options{Dir: r.Dir, Parallel: workers})
				if err == nil {
					_, err = p.Publish(b.Context())
				}
				if err != nil {
					b.Fatal(err)
				}
				ours += time.Since(start)
				theirs += rclone(b, srv, r.Dir, fmt.Sprintf("theirs-%v-%d", consistent, i), workers)
			}
			b.ReportMetric(ours.Seconds()/float64(b.N), "publish-s")
			b.ReportMetric(theirs.Seconds()/float64(b.N), "rclone-s")
			b.ReportMetric(float64(ours)/float64(theirs), "ratio")
		})
	}
}

func rclone(b *testing.B, srv *s3test.Server, dir, prefix string, workers int) time.Duration {
	b.Helper()
	n := fmt.Sprint(workers)
	cmd := exec.Command("rclone", "copy", dir, "fleet:"+s3test.Bucket+"/"+prefix, "--transfers", n, "--checkers", n, "--s3-no-check-bucket")
	cmd.Env = append(os.Environ(), "AWS_CA_BUNDLE=", "RCLONE_CONFIG=/dev/null", "RCLONE_CONFIG_FLEET_TYPE=s3", "RCLONE_CONFIG_FLEET_PROVIDER=Other", "RCLONE_CONFIG_FLEET_ENV_AUTH=true",
		"RCLONE_CONFIG_FLEET_ENDPOINT=http://"+srv.Addr, "RCLONE_CONFIG_FLEET_REGION=us-east-1", "RCLONE_CONFIG_FLEET_FORCE_PATH_STYLE=true")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("rclone: %v: %s", err, &out)
	}
	return time.Since(start)
}
