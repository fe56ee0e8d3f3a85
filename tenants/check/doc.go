// Package check owns the rules for what people and files may call things: words people read, names, e-mail addresses,
// slugs, scope tokens, colours; and the list of problems that a whole form or file has at once.
//
// It is pure: values in, messages out. It refuses text that a reader cannot trust: control characters, bidirectional
// overrides, invisible characters, stacks of combining marks (Unicode TR 36 §3). Messages are sentences for the screen.
package check
