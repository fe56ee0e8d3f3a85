package calllog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ostiary/ostiary/app/calls"
	"github.com/ostiary/ostiary/app/policy"
)

// describe says in words what the revision decides, and who can do something about it.
func (x *Explanation) describe(e evidence, again policy.Decision) {
	c, doc := x.Call, e.inForce.document
	revision := "revision " + number(c.Revision)
	switch again.Reason {
	case policy.ReasonAllowed:
		x.Why = "Allowed, because " + c.bearer() + " carried what the call needs."
		if len(again.Required) > 0 {
			x.Facts = append(x.Facts, x.needs(doc, again.Required))
		} else {
			x.Facts = append(x.Facts, upper(revision)+" asks for no permission for this.")
		}
	case policy.ReasonInsufficientScope:
		x.Why = "Denied, because " + c.bearer() + " did not carry " + permissions(doc, again.Missing) + "."
		x.Facts = append(x.Facts, x.needs(doc, again.Required))
		x.Fix = x.whoGrants(e, again.Missing)
	case policy.ReasonUnknownTool:
		x.Why = "Denied, because " + revision + " does not know " + targetWords(c) + "."
		x.Fix = "If the server offers it, an editor can add it, map it to a permission and publish. If not, the app asked for " +
			"something that is not there."
	case policy.ReasonUnmappedTool:
		x.Why = "Denied, because no permission opens " + targetWords(c) + " in " + revision + "."
		x.Fix = "An editor can map it to a permission and publish."
	case policy.ReasonOutOfContact:
		x.Why = "Denied, because the resource side had not heard from the issuer for too long."
		x.Fix = "Look whether the gate or SDK can reach the issuer."
		x.Facts = append(x.Facts, silenceWords(doc, again.Required, c.Silence))
	case policy.ReasonRevoked, policy.ReasonStopped:
	}
	if again.Reason != c.Reason {
		x.Why = plainWhy(c)
	}
	if c.Shadowed {
		x.Why = strings.Replace(x.Why, "Denied, because", "Let through in shadow mode; it would have been denied, because", 1)
	}
}

// plainWhy is the reported reason in words, without a revision to look it up in.
func plainWhy(c Call) string {
	if c.Reason == policy.ReasonAllowed {
		return "Allowed, says the resource side."
	}
	if c.Allowed || c.Shadowed {
		return "Let through, says the resource side, as " + quoted(string(c.Reason)) + "."
	}
	return "Denied, says the resource side, as " + quoted(string(c.Reason)) + "."
}

func (x *Explanation) unknownRevision() string {
	if x.Call.Revision == 0 {
		return "The call names no policy revision, so it cannot be decided again."
	}
	return "Revision " + number(x.Call.Revision) + " of this server was never published here, so the call cannot be decided again."
}

// needs says what a target needs and what the token carried.
func (x *Explanation) needs(doc *policy.Document, required []string) string {
	carried := "no permission"
	if len(x.Call.Scopes) > 0 {
		carried = permissions(doc, x.Call.Scopes)
	}
	return upper(targetWords(x.Call)) + " needs " + permissions(doc, required) + "; " + x.Call.bearer() + " carried " + carried + "."
}

// bearer is what the caller was known by.
func (c Call) bearer() string {
	if c.Proof == calls.ProofLegacy {
		return "the legacy key"
	}
	return "the token"
}

// whoGrants says who can give what was missing.
func (x *Explanation) whoGrants(e evidence, missing []string) string {
	for _, s := range missing {
		if _, offered := e.inForce.document.Scopes[s]; !offered {
			return "No user can allow it: the permission " + s + " does not exist in revision " + number(x.Call.Revision) +
				". An editor can map the tool to one that does, and publish."
		}
	}
	if x.Call.Proof == calls.ProofLegacy {
		return "Who runs the gate can give the key this permission. Better, the caller moves to OAuth, where the user can allow it."
	}
	if e.grant != nil && !e.grant.revoked && containsAll(e.grant.scopes, missing) {
		return "Nothing to do: the user has allowed it since. The app's next token carries it."
	}
	who := x.Call.UserName
	if who == "" {
		who = "The user"
	}
	return who + " can allow it: the app is told what is missing and can ask for it, or connect again."
}

func silenceWords(doc *policy.Document, required []string, silence int) string {
	offline := policy.DefaultOffline()
	if doc.Offline != nil {
		offline = *doc.Offline
	}
	most, risk := offline.Read, "reads"
	for _, s := range required {
		switch doc.Scopes[s].Risk {
		case policy.RiskRead:
		case policy.RiskWrite:
			if risk == "reads" {
				most, risk = offline.Write, "changes things"
			}
		default:
			most, risk = offline.Destructive, "can destroy things"
		}
	}
	return "What " + risk + " may go on for " + seconds(int(most)) + " without hearing from the issuer; it had heard nothing for " +
		seconds(silence) + "."
}

func (end ending) sentence() string {
	text := end.what + " " + end.did + " " + day(end.at) + by(end.by)
	if end.reason != "" {
		text += ", " + end.reason
	}
	return text + "."
}

var stopWords = map[policy.StopKind]string{
	policy.StopTool: "the tool", policy.StopHost: "the host", policy.StopUser: "the user",
	policy.StopOrganization: "the organization", policy.StopServer: "the MCP server",
}

func (s stop) sentence(c Call) string {
	name := s.Value
	switch s.Kind {
	case policy.StopUser:
		name = orElse(c.UserName, s.Value)
	case policy.StopOrganization:
		name = orElse(c.OrganizationName, s.Value)
	case policy.StopServer:
		name = orElse(c.ResourceName, s.Value)
	case policy.StopTool, policy.StopHost:
	}
	text := upper(stopWords[s.Kind]) + " " + name + " was stopped " + day(s.CreatedAt) + by(s.CreatedBy)
	if s.Reason != "" {
		text += " (" + s.Reason + ")"
	}
	if s.LiftedAt != nil {
		text += "; that was lifted " + day(*s.LiftedAt) + by(s.LiftedBy)
	}
	return text + "."
}

// permissions names scopes by what people read, and by their own name.
func permissions(doc *policy.Document, scopes []string) string {
	var names []string
	for _, s := range scopes[:min(len(scopes), 8)] {
		if title := doc.Scopes[s].Title; title != "" {
			s = quoted(title) + " (" + s + ")"
		}
		names = append(names, Shown(s))
	}
	if more := len(scopes) - 8; more > 0 {
		names = append(names, strconv.Itoa(more)+" more")
	}
	switch n := len(names); n {
	case 0:
		return "a permission"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

func targetWords(c Call) string {
	kind := map[policy.TargetKind]string{
		policy.TargetPrompt: "prompt", policy.TargetContent: "content", policy.TargetTool: "tool",
	}[c.Kind]
	return "the " + orElse(kind, "request") + " " + Shown(c.Tool)
}

// Shown returns a text that somebody else chose, in one line and without what would change how the text around it reads, or move
// a terminal's cursor.
func Shown(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

func containsAll(all, some []string) bool {
	for _, s := range some {
		if !slices.Contains(all, s) {
			return false
		}
	}
	return true
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func by(name string) string {
	if name == "" {
		return ""
	}
	return " by " + name
}

func quoted(s string) string { return "“" + s + "”" }
func number(n int) string    { return strconv.Itoa(n) }
func day(t time.Time) string { return "on " + t.UTC().Format("2 Jan 2006 at 15:04:05 UTC") }
func upper(s string) string  { return strings.ToUpper(s[:1]) + s[1:] }
func seconds(n int) string   { return ago(time.Duration(n) * time.Second) }
func plural(n int, s string) string {
	return fmt.Sprintf("%d %s%s", n, s, map[bool]string{true: "s"}[n != 1])
}

// ago writes a duration as people say it.
func ago(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return plural(int(max(d, 0)/time.Second), "second")
	case d < 2*time.Hour:
		return plural(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return plural(int(d/time.Hour), "hour")
	}
	return plural(int(d/(24*time.Hour)), "day")
}
