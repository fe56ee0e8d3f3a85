// Package calllog owns tool_calls and call_losses: what gates and SDKs say they decided, call by call, kept for the
// environment's call_retention; and the answer to "why was this call allowed or denied", given by deciding it again from the
// policy revision that was in force.
//
// A record is the word of the MCP server whose credential reported it, about its own calls only: it is never changed, and
// never kept for another server, environment or tenant. Of arguments it holds those that the policy names as audited.
package calllog
