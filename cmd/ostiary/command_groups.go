package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// refuseUnknownCommands makes a command, everything below it and help fail on names that do not exist. Left to itself, cobra
// prints a group's help for them and succeeds, and a script goes on as if something had been done.
func refuseUnknownCommands(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	refuseUnknown(root)
}

func refuseUnknown(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		refuseUnknown(sub)
	}
	switch {
	case cmd.Name() == "help":
		cmd.RunE = helpOn
	case cmd.HasSubCommands() && !cmd.Runnable():
		cmd.Args = noCommandLeft
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		cmd.DisableFlagsInUseLine = true
	}
}

// helpOn prints the help of the command that args name.
func helpOn(cmd *cobra.Command, args []string) error {
	found, rest, err := cmd.Root().Find(args)
	if err == nil {
		err = noCommandLeft(found, rest)
	}
	if err != nil {
		return err
	}
	return found.Help()
}

// noCommandLeft refuses what is left of the arguments of a group: a command that it does not have.
func noCommandLeft(group *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	group.SuggestionsMinimumDistance = 2
	hint := ""
	if near := group.SuggestionsFor(args[0]); len(near) > 0 {
		hint = ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q for %q%s", args[0], group.CommandPath(), hint)
}
