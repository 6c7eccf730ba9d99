package config

import (
	"fmt"
	"time"
)

// DaysUntil says how long it is until t, or since.
func DaysUntil(t time.Time) string {
	d := time.Until(t)
	if d < 0 {
		return daysUntilDuration(-d) + " ago"
	}
	return daysUntilDuration(d)
}

func daysUntilDuration(d time.Duration) string {
	if days := int((d + time.Hour).Hours()) / 24; days > 1 {
		return fmt.Sprintf("%d days", days)
	}
	if d >= time.Hour {
		return fmt.Sprintf("%d hours", int(d.Round(time.Minute).Hours()))
	}
	return d.Round(time.Second).String()
}
