package peer

import (
	"fmt"
	"time"
)

// Timestamp signs a new timestamp and commits, with it whatever else is staged.
func Timestamp(dir string) error {
	repo, err := openRepo(dir)
	if err != nil {
		return err
	}
	if err := checkKeys(dir, "timestamp"); err != nil {
		return err
	}
	if err := repo.TimestampWithExpires(time.Now().Add(timestampLife)); err != nil {
		return fmt.Errorf("signing timestamp: %w", err)
	}
	if err := repo.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}
