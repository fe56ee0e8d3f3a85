// Package report brings the records of decided calls to the issuer, from a gate or from a Go server that uses package gate:
//
//	reporter, err := report.New(report.Options{Issuer: issuer, ResourceID: resource, Credential: report.FromFile(path)})
//	defer reporter.Close(ctx)
//	g, err := gate.New(ctx, gate.Options{…, Observe: reporter.Observe})
//
// It never makes a call wait. Records are held in memory within fixed bounds and sent in batches, every second or every 200;
// what the issuer does not take is sent again, with growing pauses, and an id makes a record that arrives twice one record.
//
// What can be lost: nothing when either side is restarted gracefully, or while the issuer is away and the buffer holds out.
// A process that is killed loses what it recorded since the last batch was taken, with an issuer that answers about a second;
// with a spool directory what it recorded since the spool was last written to disk, at most a second, however long the
// issuer was away. Beyond the buffer the oldest records go, and the issuer is told how many.
package report
