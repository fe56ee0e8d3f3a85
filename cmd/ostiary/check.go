package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ostiary/ostiary/app/catalogue"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/gate"
)

func checkCommand() *cobra.Command {
	var source toolSource
	var issuer, server string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Fail when an MCP server offers what its published policy does not know; made for CI",
		Long: `check compares the tools an MCP server offers with its published policy. It fails when a tool has no permission, when
its name, description or schema is not what was reviewed, or when it carries characters that people do not see. It needs no
credential of the issuer and no database.`,
		Example: `  ostiary check --issuer https://acme.auth.example.com --server res_… --url http://127.0.0.1:9000/mcp
  ostiary check --issuer https://acme.auth.example.com --server res_… --file tools.json --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			offered, err := source.read(cmd.Context(), cmd.InOrStdin())
			if err != nil {
				return err
			}
			doc, err := gate.FetchPolicy(cmd.Context(), issuer, server, nil)
			if err != nil {
				return fmt.Errorf("published policy: %w", err)
			}
			return checkServer(cmd.OutOrStdout(), doc, offered, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&issuer, "issuer", "", "issuer URL of the environment, from the dashboard")
	f.StringVar(&server, "server", "", "id of the MCP server (res_…), from the dashboard")
	f.BoolVar(&asJSON, "json", false, "one line of JSON per finding")
	source.flags(cmd)
	for _, name := range []string{"issuer", "server"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is declared above
		}
	}
	return cmd
}

// checkServer prints the findings and fails when one of them must not pass.
func checkServer(out io.Writer, doc *policy.Document, offered []catalogue.Tool, asJSON bool) error {
	findings, err := catalogue.Compare(doc, offered)
	if err != nil {
		return err
	}
	failing := 0
	for _, f := range findings {
		if f.Fails {
			failing++
		}
	}
	if err := printFindings(out, findings, asJSON); err != nil {
		return err
	}
	if failing > 0 {
		return fmt.Errorf("%d of %d tools differ from revision %d", failingTools(findings), len(offered), doc.Revision)
	}
	if asJSON {
		return nil
	}
	_, err = fmt.Fprintf(out, "%d tools, all as in revision %d.\n", len(offered), doc.Revision)
	return err
}

func failingTools(findings []catalogue.Finding) int {
	tools := map[string]bool{}
	for _, f := range findings {
		if f.Fails {
			tools[f.Tool] = true
		}
	}
	return len(tools)
}

func printFindings(out io.Writer, findings []catalogue.Finding, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		for _, f := range findings {
			if err := enc.Encode(f); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		word := "note"
		if f.Fails {
			word = "FAIL"
		}
		// Names come from the server: quoted, so that none of them moves the cursor.
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", word, f.Kind, plainName(f.Tool), f.Text) // buffered: Flush tells
	}
	return w.Flush()
}

// plainName shows a server's name of a tool on a terminal: as it is when it is harmless, quoted otherwise.
func plainName(name string) string {
	if quoted := strconv.QuoteToASCII(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
