// Command vectors writes decision vectors made up at random, in the format of app/policy/testdata/vectors.json, with
// what Go decides about each as the expected result. The SDKs of other languages replay them: where they decide
// otherwise, one of the two is wrong. The same seed and number always make the same file.
//
//	go run ./app/policy/vectors -n 2000 -seed 1 -o app/policy/testdata/fuzzed.json
//
// It owns no rule of its own: every expectation comes from app/policy. It refuses random sources without a seed, so
// that what failed once can be repeated.
package main
