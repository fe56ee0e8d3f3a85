// Package jobs does regular work: what is due again and again, on one node of many, once per interval.
//
// When a job is due stands in job_runs; a conditional update of it decides who runs, and an advisory lock keeps a run that
// outlasts its interval from meeting the next. Neither survives everything (a lock ends with its connection), so every job
// is written to be harmless when two nodes do it at once. What a job does is its owner's business: this package knows
// nothing of tenants.
package jobs
