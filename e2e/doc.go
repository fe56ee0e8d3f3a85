// Package e2e drives the real binary as people and AI hosts do: `ostiary dev` on free ports with its embedded Postgres, a
// headless Chromium that signs in and consents, and the released MCP clients as subprocesses.
//
// It owns the proof that clients written by others work: nothing of ours runs inside them. What they send is observed from
// outside, by an HTTP proxy that they are configured to use and that changes nothing. It refuses to reach into the server:
// whatever these tests know they learned from a page, a response or the JSON line that dev prints.
//
// The tests carry the build tag e2e and are run by `make e2e`, so that `go test ./...` needs neither a browser nor Node.
package e2e
