package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"time"
)

func main() {
	sample := flag.Int("sample", 0, "plant only so many faults, spread over all of them")
	pattern := flag.String("run", "", "plant only faults whose name or file matches")
	check := flag.Bool("check", false, "only look whether each fault fits its file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := run(ctx, *sample, *pattern, *check)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context, sample int, pattern string, check bool) (bool, error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return false, err
	}
	faults, err := read(filepath.Join("mutants", "faults"))
	if err != nil {
		return false, err
	}
	if faults, err = chosen(faults, sample, pattern); err != nil {
		return false, err
	}
	if len(faults) == 0 {
		return false, fmt.Errorf("no fault to plant; run it at the top of the module")
	}
	if check {
		return fits(root, faults), nil
	}
	return report(tryAll(ctx, root, faults)), ctx.Err()
}

// chosen narrows the list: by a pattern, then to every n-th.
func chosen(faults []fault, sample int, pattern string) ([]fault, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	var matching []fault
	for _, f := range faults {
		if re.MatchString(f.name) || re.MatchString(f.file) {
			matching = append(matching, f)
		}
	}
	if sample <= 0 || sample >= len(matching) {
		return matching, nil
	}
	var out []fault
	for i := range sample {
		out = append(out, matching[i*len(matching)/sample])
	}
	return out, nil
}

func fits(root string, faults []fault) bool {
	ok := true
	for _, f := range faults {
		if _, err := f.plant(root); err != nil {
			fmt.Printf("unfit     %s: %v\n", f.name, err)
			ok = false
		}
	}
	if ok {
		fmt.Printf("%d faults fit their files\n", len(faults))
	}
	return ok
}

// tryAll tries the faults, as many at a time as there are processors.
func tryAll(ctx context.Context, root string, faults []fault) <-chan verdict {
	work, done := make(chan fault), make(chan verdict)
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() {
			for f := range work {
				done <- try(ctx, root, f)
			}
		})
	}
	go func() {
		defer close(done)
		defer wg.Wait()
		defer close(work)
		for _, f := range faults {
			select {
			case work <- f:
			case <-ctx.Done():
				return
			}
		}
	}()
	return done
}

func report(verdicts <-chan verdict) bool {
	counts := map[outcome]int{}
	names := map[outcome]string{caught: "caught", survived: "SURVIVED", unfit: "UNFIT"}
	for v := range verdicts {
		counts[v.outcome]++
		fmt.Printf("%-9s %s (%s, %s) %s\n", names[v.outcome], v.fault.name, v.fault.file, v.took.Round(100*time.Millisecond), v.detail)
	}
	total := counts[caught] + counts[survived] + counts[unfit]
	fmt.Printf("\n%d of %d faults were caught by the tests of their own package\n\n", counts[caught], total)
	return counts[caught] == total
}
