package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants"
)

func TestStop_ShowsTheBlastRadiusAndAsks(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c := s.Register(t, s.Acme, nil)
	s.Connect(t, host.NewBrowser(t), s.Acme, c.Authorize("data:read"), "data:read")
	acme := stopOptions{environmentFlags: environmentFlags{tenant: s.Acme.Slug}}
	run := func(o stopOptions, n tenants.NewStop, answer string) (string, error) {
		var out bytes.Buffer
		err := createStop(operator(t.Context()), s.App, o, n, strings.NewReader(answer), &out)
		return out.String(), err
	}
	list := func() string {
		var out bytes.Buffer
		if err := listStops(operator(t.Context()), s.App, acme, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	user := tenants.NewStop{Kind: policy.StopUser, Value: s.Acme.UserEmail, Reason: "Lost laptop."}
	out, err := run(acme, user, "n\n")
	if err != nil || !strings.Contains(out, "live connections: 1") || !strings.Contains(out, "people: 1") || !strings.Contains(out, s.Acme.UserID) {
		t.Fatalf("%q %v", out, err)
	}
	if got := list(); !strings.Contains(got, "Nothing is stopped") {
		t.Errorf("no was taken for yes: %s", got)
	}
	if out, err = run(acme, user, "yes\n"); err != nil || !strings.Contains(out, "Stopped as stp_") {
		t.Fatalf("%q %v", out, err)
	}
	if got := list(); !strings.Contains(got, s.Acme.UserEmail) || !strings.Contains(got, "Lost laptop.") {
		t.Errorf("%s", got)
	}
	if out, err = run(acme, user, "yes\n"); err != nil || !strings.Contains(out, "stopped already") {
		t.Errorf("again: %q %v", out, err)
	}
	acme.yes = true
	for _, n := range []tenants.NewStop{
		{Kind: policy.StopTool, Value: "run_query"}, {Kind: policy.StopServer}, {Kind: policy.StopHost, Value: "chatgpt"},
	} {
		if out, err := run(acme, n, ""); err != nil || !strings.Contains(out, "Stopped as stp_") {
			t.Errorf("%s: %q %v", n.Kind, out, err)
		}
	}
	for _, n := range []tenants.NewStop{
		{Kind: "everything", Value: "x"}, {Kind: policy.StopUser, Value: s.Neighbour.UserEmail}, {Kind: policy.StopTool, Value: "nothing"},
	} {
		if out, err := run(acme, n, ""); err == nil || strings.Contains(out, "Stopped") {
			t.Errorf("%v: %q", n, out)
		}
	}
	live, _, err := s.Stops.List(s.Acme.Operator())
	if err != nil || len(live) != 4 {
		t.Fatalf("%d %v", len(live), err)
	}
	var lifted bytes.Buffer
	other := stopOptions{environmentFlags: environmentFlags{tenant: s.Neighbour.Slug}}
	if err := liftStop(operator(t.Context()), s.App, other, live[0].ID, &lifted); err == nil {
		t.Error("a neighbour's stop was lifted")
	}
	if err := liftStop(operator(t.Context()), s.App, acme, live[0].ID, &lifted); err != nil || !strings.Contains(lifted.String(), "works again") {
		t.Errorf("%q %v", lifted.String(), err)
	}
}
