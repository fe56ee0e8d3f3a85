// Package attemptlog owns attempt_steps: what happened at each step of each connection attempt (metadata read, registered,
// authorize, login, consent, token), so that the case id on an error page finds the whole handshake.
//
// It is always on, so it is bounded everywhere. Record never waits and never fails: every environment has a budget per
// second, and what is beyond it is only counted. Steps pass through a queue of fixed length to one writer, which sends one
// statement per environment and round. An environment keeps 7 days and 20,000 steps at most, three quarters of them reserved
// for steps that belong to a case. When Postgres is away steps are lost; nothing waits for it.
//
// It refuses to keep what could be used: no code, token, state, verifier or secret, no query of a URL, no network address.
// An address is kept as a keyed hash, which lines up the steps of one machine within one environment and says nothing else.
package attemptlog
