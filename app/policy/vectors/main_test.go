package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/policy"
)

const committed = "../testdata/fuzzed.json"

func TestRun_TheSameSeedMakesTheCommittedFile(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := run([]string{"-n", "2000", "-seed", "1"}, &got, io.Discard); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("not current: go run ./app/policy/vectors -n 2000 -seed 1 -o app/policy/testdata/fuzzed.json")
	}
}

func TestRun_WithoutASeedSaysWhichOneItTook(t *testing.T) {
	t.Parallel()
	var first, again, said bytes.Buffer
	if err := run([]string{"-n", "5"}, &first, &said); err != nil {
		t.Fatal(err)
	}
	_, seed, _ := strings.Cut(strings.TrimSpace(said.String()), "seed ")
	if err := run([]string{"-n", "5", "-seed", seed}, &again, io.Discard); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), again.Bytes()) {
		t.Errorf("seed %q does not repeat what was made", seed)
	}
	if err := run([]string{"-n", "0"}, io.Discard, io.Discard); err == nil {
		t.Error("no vectors were wanted and made")
	}
}

func TestGenerate_ReachesEveryReasonForEveryKind(t *testing.T) {
	t.Parallel()
	seen := map[policy.TargetKind]map[policy.Reason]int{
		"": {}, policy.TargetTool: {}, policy.TargetPrompt: {}, policy.TargetContent: {},
	}
	for _, v := range generate(7, 8000).vectors {
		if seen[v.Kind] != nil {
			seen[v.Kind][v.Want.Reason]++
		}
	}
	for kind, reasons := range seen {
		for _, reason := range []policy.Reason{policy.ReasonAllowed, policy.ReasonUnknownTool, policy.ReasonUnmappedTool,
			policy.ReasonInsufficientScope, policy.ReasonRevoked, policy.ReasonStopped, policy.ReasonOutOfContact} {
			if reasons[reason] == 0 {
				t.Errorf("kind %q: no vector ends with %s", kind, reason)
			}
		}
	}
}
