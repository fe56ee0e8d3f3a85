package apply

import (
	"bytes"
	_ "embed" // the demo tenant
	"fmt"
)

//go:embed demo.yaml
var demoYAML []byte

// DemoSource returns the text of the demo tenant file, to print as an example.
func DemoSource() []byte { return bytes.Clone(demoYAML) }

// DemoPasswords are the passwords of the demo sign-ins; the file holds none.
type DemoPasswords struct {
	Member string
	User   string
}

// Demo returns the demo tenant with its MCP server at identifier.
func Demo(identifier string, p DemoPasswords) File {
	f, err := Parse(bytes.NewReader(demoYAML))
	if err != nil {
		panic(fmt.Sprintf("apply: the demo tenant: %v", err)) // embedded, and a test reads it
	}
	f.Members[0].Password = p.Member
	f.Environments[0].Users[0].Password = p.User
	f.Environments[0].Resources[0].Identifier = identifier
	return f
}
