// Package calls owns the record of one decided call: what gates and SDKs report to the issuer at
// {issuer}/resources/{id}/calls, and what the issuer keeps. It is values only; who collects them is gate and the SDKs, who
// keeps them is tenants.
package calls
