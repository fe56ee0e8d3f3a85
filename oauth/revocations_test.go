package oauth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ostiary/ostiary/app/apptest/host"
	"github.com/ostiary/ostiary/app/policy"
	"github.com/ostiary/ostiary/tenants/tenanttest"
)

func feedURL(tenant *tenanttest.Tenant) string {
	return tenant.Issuer + "/resources/" + tenant.ResourceID + "/revocations"
}

// bundle reads a feed without checking it.
func bundle(t *testing.T, jws string) policy.FeedBundle {
	t.Helper()
	raw, err := json.Marshal(claims(t, jws))
	if err != nil {
		t.Fatal(err)
	}
	var b policy.FeedBundle
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// feedNow reads the feed of a tenant's MCP server once.
func feedNow(t *testing.T, tenant *tenanttest.Tenant) policy.FeedBundle {
	t.Helper()
	answer := host.Get(t, feedURL(tenant))
	if answer.Status != http.StatusOK {
		t.Fatalf("feed: %d %s", answer.Status, answer.Raw)
	}
	return bundle(t, answer.Raw)
}

func grantOf(t *testing.T, tokens host.Tokens) string {
	t.Helper()
	id, _ := claims(t, tokens.Access)["grant_id"].(string)
	return id
}

// until reads a stream up to the first event that is as wanted.
func until(t *testing.T, s *host.Stream, what string, wanted func(policy.FeedBundle) bool) policy.FeedBundle {
	t.Helper()
	for {
		e, ok := s.Next(t)
		if !ok {
			t.Fatalf("the stream ended before %s came", what)
		}
		if b := bundle(t, e.Data); wanted(b) {
			return b
		}
	}
}

func lists(grantID string) func(policy.FeedBundle) bool {
	return func(b policy.FeedBundle) bool { return slices.Contains(b.Feed.Ended.Grants, grantID) }
}

func execute(t *testing.T, s *host.Stack, tenant *tenanttest.Tenant, statement string, args ...any) {
	t.Helper()
	if err := s.DB.Pipe(tenant.Context(), func(b *pgx.Batch) { b.Queue(statement, args...) }); err != nil {
		t.Fatal(err)
	}
}

func TestRevocations_AreSignedAndWhole(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFile(twoServers))
	c, tokens := connect(t, s)
	other := s.Connect(t, host.NewBrowser(t), s.Neighbour, s.Register(t, s.Neighbour, nil).Authorize(), "data:read")
	first := host.Get(t, feedURL(s.Acme))
	if first.Status != http.StatusOK || first.Header.Get("Content-Type") != "application/jwt" || first.Header.Get("ETag") == "" ||
		first.Header.Get("Cache-Control") != "no-store" || first.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%d %v", first.Status, first.Header)
	}
	if header, _ := verified(t, s.Acme.Issuer, first.Raw); header.ExtraHeaders["typ"] != policy.FeedType {
		t.Errorf("typ %v (RFC 8725 §3.11)", header.ExtraHeaders["typ"])
	}
	b, now := bundle(t, first.Raw), s.Clock.Now().Unix()
	if b.Issuer != s.Acme.Issuer || b.Subject != s.Acme.ResourceID || b.Feed.Revision != 1 || now-b.IssuedAt > 5 || b.IssuedAt > now ||
		b.ExpiresAt-b.IssuedAt != int64(policy.FeedLifetime/time.Second) || len(b.Feed.Ended.Grants) != 0 {
		t.Errorf("%+v", b)
	}
	c.Revoke(t, tokens.Refresh)
	execute(t, s, s.Acme, `update users set disabled_at = $2 where id = $1`, s.Acme.UserID, s.Clock.Now())
	execute(t, s, s.Acme, `update organizations set disabled_at = $2 where id = $1`, s.Acme.OrganizationID, s.Clock.Now())
	execute(t, s, s.Acme, `update clients set disabled_at = $2 where id = $1`, c.ID, s.Clock.Now())
	eventually(t, "what ended", everywhere(func() bool { return len(feedNow(t, s.Acme).Feed.Ended.Clients) > 0 }))
	ended := feedNow(t, s.Acme).Feed
	if want := (policy.Ended{
		Grants: []string{grantOf(t, tokens)}, Users: []string{s.Acme.UserID},
		Organizations: []string{s.Acme.OrganizationID}, Clients: []string{c.ID},
	}); !equalJSON(t, ended.Ended, want) || ended.Sequence <= b.Feed.Sequence {
		t.Errorf("%+v", ended)
	}
	neighbours := feedNow(t, s.Neighbour).Feed
	if len(neighbours.Ended.Grants)+len(neighbours.Ended.Users)+len(neighbours.Ended.Organizations)+len(neighbours.Ended.Clients) > 0 {
		t.Errorf("the neighbour of %s hears %+v", grantOf(t, other), neighbours)
	}
	second := feedOf(t, s, s.Acme, resourceNamed(t, s, secondServer)).Feed
	if len(second.Ended.Grants) > 0 || len(second.Ended.Users) != 1 {
		t.Errorf("another MCP server hears %+v", second.Ended)
	}
	s.Clock.Advance(time.Hour + 6*time.Minute) // no token from before can be alive
	if late := feedNow(t, s.Acme).Feed; !equalJSON(t, late.Ended, policy.Ended{}) || late.Sequence != ended.Sequence {
		t.Errorf("after everything expired: %+v", late)
	}
}

func equalJSON(t *testing.T, a, b any) bool {
	t.Helper()
	one, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	other, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(one) == string(other)
}

func resourceNamed(t *testing.T, s *host.Stack, identifier string) string {
	t.Helper()
	var id string
	query(t, s, `select id from resources where identifier = $1`, &id, identifier)
	return id
}

func feedOf(t *testing.T, s *host.Stack, tenant *tenanttest.Tenant, resourceID string) policy.FeedBundle {
	t.Helper()
	return bundle(t, host.Get(t, strings.Replace(feedURL(tenant), tenant.ResourceID, resourceID, 1)).Raw)
}

func TestRevocations_RefuseOthersAndNonsense(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	for name, target := range map[string]string{
		"foreign": s.Acme.Issuer + "/resources/" + s.Neighbour.ResourceID + "/revocations",
		"nobody":  s.Acme.Issuer + "/resources/res_AAAAAAAAAAAAAAAAAAAAAAAAAA/revocations",
		"stream":  s.Acme.Issuer + "/resources/" + s.Neighbour.ResourceID + "/revocations?wait=20",
	} {
		answer := host.Get(t, target)
		if answer.Status != http.StatusNotFound || answer.Str("error") != "not_found" || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", name, answer.Status, answer.Raw)
		}
	}
	for _, bad := range []string{"wait=1e9", "wait=-", "after=x", "after=99999999999999999999", "wait=1&after=1.5"} {
		if answer := host.Get(t, feedURL(s.Acme)+"?"+bad); answer.Status != http.StatusBadRequest || answer.Str("error") != "invalid_request" {
			t.Errorf("%s: %d %s", bad, answer.Status, answer.Raw)
		}
	}
	for _, odd := range []string{"after=-1", "wait=1000000000&after=-1", "wait=-9223372036854775808&after=0", "after=9223372036854775807", "wait=0"} {
		if answer := host.Get(t, feedURL(s.Acme)+"?"+odd); answer.Status != http.StatusOK || bundle(t, answer.Raw).Feed.Revision != 1 {
			t.Errorf("%s: %d %s", odd, answer.Status, answer.Raw)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, feedURL(s.Acme)+"?wait=25&after=99", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if answer := host.Do(t, r); answer.Status != http.StatusOK || answer.Raw != "" || answer.Header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %d %v", answer.Status, answer.Header)
	}
	if answer := host.PostForm(t, feedURL(s.Acme), nil); answer.Status != http.StatusMethodNotAllowed && answer.Status != http.StatusNotFound {
		t.Errorf("POST: %d", answer.Status)
	}
}

func TestRevocations_StreamTellsOfEachChange(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	stream := host.OpenStream(t, feedURL(s.Acme), nil)
	if stream.Status != http.StatusOK || stream.Header.Get("Content-Type") != "text/event-stream" ||
		stream.Header.Get("Cache-Control") != "no-store" || stream.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%d %v", stream.Status, stream.Header)
	}
	first, _ := stream.Next(t)
	before := bundle(t, first.Data)
	if first.Name != "feed" || first.ID != strconv.FormatInt(before.Feed.Sequence, 10) {
		t.Errorf("first event %+v", first)
	}
	verified(t, s.Acme.Issuer, first.Data)
	c, tokens := connect(t, s)
	c.Revoke(t, tokens.Refresh)
	after := until(t, stream, "the revocation", lists(grantOf(t, tokens)))
	if after.Feed.Sequence <= before.Feed.Sequence {
		t.Errorf("sequence %d after %d", after.Feed.Sequence, before.Feed.Sequence)
	}
	s.Clock.Advance(policy.FeedEvery) // nothing changed, and it is still heard from
	again := until(t, stream, "the next signature", func(b policy.FeedBundle) bool { return b.IssuedAt > after.IssuedAt })
	if again.Feed.Sequence != after.Feed.Sequence || !lists(grantOf(t, tokens))(again) {
		t.Errorf("%+v after %+v", again, after)
	}
}

func TestRevocations_StreamResumes(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(1))
	sequence := strconv.FormatInt(feedNow(t, s.Acme).Feed.Sequence, 10)
	known := host.OpenStream(t, feedURL(s.Acme), func(r *http.Request) { r.Header.Set("Last-Event-ID", sequence) })
	for _, odd := range []string{"", "-1", "x", "0" + sequence, strings.Repeat("9", 5000)} {
		stream := host.OpenStream(t, feedURL(s.Acme), func(r *http.Request) { r.Header.Set("Last-Event-ID", odd) })
		if e, ok := stream.Next(t); !ok || e.ID != sequence {
			t.Errorf("Last-Event-ID %.20q: %+v", odd, e)
		}
		stream.Close()
	}
	if known.Waiting() != 0 {
		t.Error("who has the newest was sent it again")
	}
	s.Clock.Advance(policy.FeedEvery)
	if e, ok := known.Next(t); !ok || e.ID != sequence {
		t.Errorf("after the next signature: %+v", e)
	}
}

func TestRevocations_LongPollAnswersWhenSomethingChanges(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	c, tokens := connect(t, s)
	b := feedNow(t, s.Acme)
	sequence := strconv.FormatInt(b.Feed.Sequence, 10)
	if answer := host.Get(t, feedURL(s.Acme)+"?wait=25&after="+strconv.FormatInt(b.Feed.Sequence-1, 10)); bundle(t, answer.Raw).Feed.Sequence != b.Feed.Sequence {
		t.Errorf("who is behind waited: %s", answer.Raw)
	}
	s.Clock.Advance(5 * time.Second)
	if same := bundle(t, host.Get(t, feedURL(s.Acme)+"?wait=1&after="+sequence).Raw); same.Feed.Sequence != b.Feed.Sequence || same.IssuedAt < b.IssuedAt+5 {
		t.Errorf("after the wait: %+v, before %+v", same, b)
	}
	answers := make(chan host.Answer, 1)
	var waiting sync.WaitGroup
	waiting.Go(func() { answers <- host.Get(t, feedURL(s.Acme)+"?wait=25&after="+sequence) })
	c.Revoke(t, tokens.Refresh)
	waiting.Wait()
	if got := bundle(t, (<-answers).Raw); !lists(grantOf(t, tokens))(got) {
		t.Errorf("%+v", got.Feed)
	}
}

// A number that is read every two seconds makes up for notifications that nobody hears.
func TestRevocations_LostNotificationsCostSeconds(t *testing.T) {
	t.Parallel()
	s := host.New(t)
	stream := host.OpenStream(t, feedURL(s.Acme), nil)
	stream.Next(t)
	c, tokens := connect(t, s)
	s.Cable.Deafen()
	c.Revoke(t, tokens.Refresh)
	until(t, stream, "the revocation", lists(grantOf(t, tokens)))
}

// While Postgres is away streams stay open and nothing is said: the age of the last feed is what tells.
func TestRevocations_AreSilentWhilePostgresIsAway(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(1))
	stream := host.OpenStream(t, feedURL(s.Acme), nil)
	first, _ := stream.Next(t)
	last := bundle(t, first.Data)
	s.Cable.Cut()
	s.Clock.Advance(40 * time.Second)
	for range 3 {
		answer := host.Get(t, feedURL(s.Acme))
		if answer.Status != http.StatusOK || bundle(t, answer.Raw).IssuedAt > last.IssuedAt+20 {
			t.Errorf("while it is away: %d %s", answer.Status, answer.Raw)
		}
	}
	s.Clock.Advance(100 * time.Second) // the last one has expired
	if answer := host.Get(t, feedURL(s.Acme)); answer.Status != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
		t.Errorf("nothing valid to say: %d %s", answer.Status, answer.Raw)
	}
	back := s.Clock.Now().Unix()
	s.Cable.Mend()
	e, ok := stream.Next(t)
	if !ok {
		t.Fatal("the stream ended")
	}
	if b := bundle(t, e.Data); b.IssuedAt < back {
		t.Errorf("signed at %d while Postgres was away until %d", b.IssuedAt, back)
	}
}

// Who hears of a revision finds it at the node that told.
func TestRevocations_TellOfARevisionThatIsServed(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(1))
	stream := host.OpenStream(t, feedURL(s.Acme), nil)
	stream.Next(t)
	for revision := 2; revision < 6; revision++ {
		draft, err := s.Resources.Get(s.Acme.Operator(), s.Acme.ResourceID)
		if err != nil {
			t.Fatal(err)
		}
		edited := draft.Scopes[0]
		edited.Title = "Title " + strconv.Itoa(revision)
		if _, err := s.Resources.UpdateScope(s.Acme.Operator(), s.Acme.ResourceID, edited); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Resources.Publish(s.Acme.Operator(), s.Acme.ResourceID, ""); err != nil {
			t.Fatal(err)
		}
		until(t, stream, "the revision", func(b policy.FeedBundle) bool { return b.Feed.Revision == revision })
		served, _ := claims(t, host.Get(t, strings.Replace(feedURL(s.Acme), "revocations", "policy", 1)).Raw)["policy"].(map[string]any)
		if served["revision"] != float64(revision) {
			t.Errorf("the feed tells of %d, served is %v", revision, served["revision"])
		}
	}
}

// A connection counts while it is held; single requests never do.
func TestRevocations_AFloodTakesNoMoreThanItsShare(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithFeedConnections(30), host.WithNodes(1), host.WithIssuers(host.PathForm)) // 3 of one address
	var streams []*host.Stream
	for range 3 {
		stream := host.OpenStream(t, feedURL(s.Acme), nil)
		stream.Next(t)
		streams = append(streams, stream)
	}
	refused := host.OpenStream(t, feedURL(s.Acme), nil)
	if refused.Status != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" {
		t.Errorf("beyond: %d %v", refused.Status, refused.Header)
	}
	if answer := host.Get(t, feedURL(s.Neighbour)+"?wait=20&after=0"); answer.Status != http.StatusServiceUnavailable || answer.Str("error") != "temporarily_unavailable" {
		t.Errorf("waiting beyond: %d %s", answer.Status, answer.Raw)
	}
	if feedNow(t, s.Acme).Feed.Revision != 1 {
		t.Error("a single request is refused")
	}
	streams[0].Close()
	eventually(t, "the free place", func() bool {
		stream := host.OpenStream(t, feedURL(s.Acme), nil)
		defer stream.Close()
		return stream.Status == http.StatusOK
	})
}

// A change on one node is heard at another; a node that stops ends its streams, and does not wait for them.
func TestRevocations_OverNodes(t *testing.T) {
	t.Parallel()
	s := host.New(t, host.WithNodes(2), host.WithIssuers(host.PathForm))
	at := func(n *host.Node) string {
		return n.URL + "/i/" + s.Acme.Environment + "/resources/" + s.Acme.ResourceID + "/revocations"
	}
	public := func(r *http.Request) { r.Host = strings.TrimPrefix(s.URL, "http://") }
	stream := host.OpenStream(t, at(s.Nodes[1]), public)
	stream.Next(t)
	c, tokens := connect(t, s)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
		s.Nodes[0].URL+"/i/"+s.Acme.Environment+"/revoke", strings.NewReader("client_id="+c.ID+"&token="+tokens.Refresh))
	if err != nil {
		t.Fatal(err)
	}
	public(r)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if answer := host.Do(t, r); answer.Status != http.StatusOK {
		t.Fatalf("revoke: %d %s", answer.Status, answer.Raw)
	}
	until(t, stream, "the revocation", lists(grantOf(t, tokens)))
	s.Nodes[1].Stop(t)
	for {
		if _, ok := stream.Next(t); !ok {
			break
		}
	}
	elsewhere := host.OpenStream(t, at(s.Nodes[0]), public)
	if e, ok := elsewhere.Next(t); !ok || !lists(grantOf(t, tokens))(bundle(t, e.Data)) {
		t.Errorf("at the other node: %+v", e)
	}
}

// What only MCP servers hear of costs the issuer nothing.
func TestRevocations_LeaveTheSnapshotAlone(t *testing.T) {
	t.Parallel()
	var loads counter
	s := host.New(t, host.WithTracer(&loads), host.WithNodes(1))
	stream := host.OpenStream(t, feedURL(s.Acme), nil)
	stream.Next(t)
	c, tokens := connect(t, s)
	before := loads.n.Load()
	c.Revoke(t, tokens.Refresh)
	until(t, stream, "the revocation", lists(grantOf(t, tokens)))
	host.Get(t, s.Acme.Issuer+"/.well-known/jwks.json")
	if after := loads.n.Load(); after != before {
		t.Errorf("the environment was loaded %d times", after-before)
	}
}

// counter counts how often an environment is loaded.
type counter struct{ n atomic.Int64 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	if strings.Contains(d.SQL, "environments e") {
		c.n.Add(1)
	}
	return ctx
}
func (*counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (*counter) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}
func (*counter) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*counter) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}
