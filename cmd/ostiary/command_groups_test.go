package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// A command that does not exist fails in every group there is, in one line that names it.
func TestCommands_UnknownOnesFail(t *testing.T) {
	t.Parallel()
	groups := 0
	var check func(cmd *cobra.Command, path []string)
	check = func(cmd *cobra.Command, path []string) {
		if !cmd.HasSubCommands() {
			return
		}
		groups++
		for _, prefix := range [][]string{nil, {"help"}} {
			args := append(append(prefix, path...), "unheard")
			out, err := run(t, "", args...)
			want := `unknown command "unheard" for "` + cmd.CommandPath() + `"`
			if err == nil || err.Error() != want || out != "" {
				t.Errorf("%q: %v, want %s; printed %q", args, err, want, out)
			}
		}
		for _, sub := range cmd.Commands() {
			check(sub, append(path, sub.Name()))
		}
	}
	check(root(), nil)
	if groups < 4 { // ostiary, keys, gate, completion
		t.Errorf("only %d groups were looked at", groups)
	}
}

func TestCommands_MistypedOnesSayWhatWasMeant(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"aply": "did you mean apply?", "keys rotat": "did you mean rotate?", "help keys lst": "did you mean list?",
	} {
		if _, err := run(t, "", strings.Fields(line)...); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want … %s", line, err, want)
		}
	}
}

func TestCommands_AGroupAloneAndHelpPrintHelp(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"keys", "keys --help", "help keys"} {
		if out, err := run(t, "", strings.Fields(line)...); err != nil || !strings.Contains(out, "ostiary keys [command]") {
			t.Errorf("%s: %v, %q", line, err, out)
		}
	}
	if out, err := run(t, "", "help"); err != nil || !strings.Contains(out, "ostiary [command]") {
		t.Errorf("help: %v, %q", err, out)
	}
}
