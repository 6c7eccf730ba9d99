// Package diff says in plain data what signing a change would mean: how what is staged
// differs from what is published, role by role. Keys, thresholds and targets have fields of
// their own; whatever else differs is a line under Other, so that nothing that would be
// signed is left out. It decides nothing; package review shows it to people.
package diff
