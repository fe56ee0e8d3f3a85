package main

// dice are repeatable random choices (SplitMix64). They decide what is tried, never what is secret.
type dice uint64

func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number from 0 to n-1.
func (d *dice) below(n int) int { return int(d.next() % uint64(n)) } //nolint:gosec // n is small and positive

// once reports true one time in n.
func (d *dice) once(n int) bool { return d.below(n) == 0 }

// pick returns one of what there is.
func pick[T any](d *dice, from []T) T { return from[d.below(len(from))] }

// some returns up to most of what there is, in any order, now and then one of them twice.
func some[T any](d *dice, from []T, most int) []T {
	if len(from) == 0 {
		return nil
	}
	var chosen []T
	for range d.below(most + 1) {
		chosen = append(chosen, pick(d, from))
	}
	return chosen
}
