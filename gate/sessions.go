package gate

// headerSession carries the session of the 2025 revisions of streamable HTTP.
const headerSession = "Mcp-Session-Id"

const rememberedSessions = 8192

// sessions remembers whose a session is, so that a session id that leaked is of no use with somebody else's token (MCP
// security best practices, session hijacking). It knows only sessions that began through this process and were used lately;
// a stranger's guess at another one is left to the MCP server.
type sessions struct{ owners *recent[string, sessionOwner] }

type sessionOwner struct{ user, organization, client string }

func ownerOf(id *Identity) sessionOwner { return sessionOwner{id.User, id.Organization, id.Client} }

func newSessions() sessions { return sessions{newRecent[string, sessionOwner](rememberedSessions)} }

// admits reports whether id may use the session a request names. Of two, nobody knows which one the MCP server takes.
func (s sessions) admits(named []string, id *Identity) bool {
	if len(named) == 0 {
		return true
	}
	owner, known := s.owners.get(named[0])
	return len(named) == 1 && (!known || owner == ownerOf(id))
}

// note remembers the session a response names. Who had it first keeps it.
func (s sessions) note(session string, id *Identity) {
	if session == "" || len(session) > 256 {
		return
	}
	if _, known := s.owners.get(session); !known {
		s.owners.put(session, ownerOf(id))
	}
}
