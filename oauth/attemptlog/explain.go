package attemptlog

// Fixer says who can do something about a step that did not work.
type Fixer string

// The fixers.
const (
	FixerUser     Fixer = "user"     // who is connecting
	FixerApp      Fixer = "app"      // who makes the client
	FixerMember   Fixer = "member"   // who runs the MCP server
	FixerOperator Fixer = "operator" // who runs Ostiary
)

// Explanation says what happened in words, who can fix it, and how.
type Explanation struct {
	What string
	Who  Fixer
	How  string
}

// Explains reports whether a reason has an explanation of its own.
func Explains(reason string) bool {
	_, ok := explanations[reason]
	return ok
}

// Explain returns the explanation of a refused or failed step.
func Explain(s Step) Explanation {
	if e, ok := explanations[s.Reason]; ok {
		return e
	}
	if s.Outcome == OutcomeFailed {
		return Explanation{
			What: "Something went wrong on our side.", Who: FixerOperator,
			How: "The log of the server has the cause under this case id.",
		}
	}
	return Explanation{
		What: "The request was refused.", Who: FixerApp, How: "Compare the request with what the detail says.",
	}
}

const (
	tryAgain   = "Connect again from the app."
	removeAdd  = "Remove the connection in the app and add it again: it then registers anew."
	updateApp  = "Update the app. If it stays, tell its makers what is compared here."
	freshStart = "Connect again from the app, and finish in the browser that opens."
)

// explanations by reason: the codes of pages, of OAuth errors, and the finer ones of the token endpoint.
var explanations = map[string]Explanation{
	"client_unknown": {
		"The app is not registered here, or its registration was switched off.", FixerUser,
		removeAdd,
	},
	"redirect_uri_unknown": {
		"The app wants to go back to an address it did not register.", FixerApp,
		"Register this address, or send one that is registered. Only the port of a localhost address may differ.",
	},
	"redirect_uri_missing": {
		"The app did not say where to go back to.", FixerApp,
		"Send redirect_uri with every authorization request.",
	},
	"parameter_repeated": {
		"The request names the app or the way back more than once.", FixerApp,
		"Send client_id and redirect_uri once each.",
	},
	"request_malformed":   {"The request could not be read.", FixerApp, updateApp},
	"interaction_expired": {"The request waited too long for the user.", FixerUser, tryAgain},
	"interaction_other_browser": {
		"The page was opened in another browser than the one that began, or cookies are blocked.", FixerUser,
		freshStart,
	},
	"interaction_unknown": {
		"The address of the page was incomplete, or out of date.", FixerUser,
		freshStart,
	},
	"cross_site": {"The form was sent from another site.", FixerUser, freshStart},
	"resource_gone": {
		"The MCP server was switched off while the user was connecting.", FixerMember,
		"Publish the server, then connect again.",
	},

	"client_document_refused": {
		"The app's document about itself cannot be accepted.", FixerApp,
		"Correct the client metadata document; the detail says what is wrong in it.",
	},
	"client_document_unavailable": {
		"The app's document about itself could not be read.", FixerOperator,
		"If it lasts, look whether this server may reach the app's host.",
	},
	"client_document_limited": {
		"Too many apps that nobody here knows were named in a short time, so the app's document was not read.", FixerUser,
		"Try again in a minute. If it lasts, somebody may be flooding this server: look at the addresses of such attempts.",
	},
	"logout_contradicts": {"The sign-out names two different apps.", FixerApp, updateApp},

	"password_wrong": {"E-mail and password did not match.", FixerUser, "Check both and try again."},
	"too_many_attempts": {
		"Too many sign-ins failed in a short time.", FixerUser,
		"Wait ten minutes, then try again.",
	},
	"denied":         {"The user chose Cancel.", FixerUser, "Connect again and choose what to allow."},
	"nothing_ticked": {"The user allowed nothing.", FixerUser, "Tick at least one permission."},
	"user_switched": {
		"Another user signed in while the page was open.", FixerUser,
		"Check the account and decide again.",
	},
	"policy_changed": {
		"The permissions were published anew while the page was open.", FixerUser,
		"Read them again, then decide.",
	},
	"login_required": {
		"The app asked not to show a sign-in, and nobody is signed in.", FixerApp,
		"Ask again without prompt=none.",
	},
	"consent_required": {
		"The app asked not to show consent, and consent is needed.", FixerApp,
		"Ask again without prompt=none.",
	},

	"invalid_request": {"The request is not as the specification asks.", FixerApp, updateApp},
	"invalid_scope": {
		"Nothing the app asked for can be granted.", FixerMember,
		"Compare the permissions asked for with the published ones. The app can ask again without a scope.",
	},
	"invalid_target": {
		"The app named an MCP server that this issuer does not guard.", FixerMember,
		"Compare the addresses. If both mean the same server, add the other spelling to its aliases.",
	},
	"invalid_client": {
		"The app is unknown here, or it did not prove who it is.", FixerUser,
		removeAdd,
	},
	"invalid_grant": {"What the app presented is not good any more.", FixerUser, tryAgain},
	"unauthorized_client": {
		"The app is not registered for this.", FixerApp,
		"Register the grant type that is used.",
	},
	"unsupported_grant_type": {"The app asked for tokens in a way that is not offered.", FixerApp, updateApp},
	"unsupported_response_type": {
		"The app asked for an answer that is not offered.", FixerApp,
		"Use response_type=code with PKCE.",
	},
	"request_not_supported": {
		"The app sent a request object, which is not offered.", FixerApp,
		"Send plain parameters.",
	},
	"request_uri_not_supported": {
		"The app sent the address of a request object, which is not offered.", FixerApp,
		"Send plain parameters.",
	},
	"invalid_redirect_uri": {
		"An address in the registration cannot be accepted.", FixerApp,
		"Use https, a localhost address, or a private-use scheme with a dot (com.example.app); any other needs a client in the tenant's file.",
	},
	"invalid_client_metadata": {"The registration cannot be accepted.", FixerApp, updateApp},
	"registration_off": {
		"The app tried to register, and registration is switched off here.", FixerMember,
		"Switch dynamic registration on for this environment, or register the app beforehand.",
	},

	"code_unknown": {"The code was not issued here, or was cut off on its way.", FixerApp, updateApp},
	"code_expired": {"The app came too late: codes live for a minute.", FixerUser, tryAgain},
	"code_spent": {
		"The code was used a second time, so what it gave was revoked.", FixerApp,
		"Redeem a code once. Then connect again.",
	},
	"client_differs": {
		"The app that presents the code is not the one it was issued to.", FixerApp,
		"Use one client_id from authorization to token.",
	},
	"redirect_uri_differs": {
		"The address at the token request differs from the one the user was sent back to.", FixerApp,
		"Send the same redirect_uri both times, or none with the token request.",
	},
	"resource_differs": {
		"The app asked for a token for another address than the user approved.", FixerMember,
		"If both mean the same server, add the other spelling to its aliases.",
	},
	"pkce_missing": {
		"The app sent no code_verifier.", FixerApp,
		"Send the code_verifier that belongs to the code_challenge.",
	},
	"pkce_differs": {
		"The code_verifier does not belong to the code_challenge.", FixerApp,
		"Keep the verifier of this very attempt; a second attempt must not overwrite it.",
	},
	"refresh_refused": {"The refresh token is unknown, expired or revoked.", FixerUser, tryAgain},

	"stopped": {
		"The kill switch holds the app, the user, the organization or the server.", FixerMember,
		"Lift it under Kill switch, or with `ostiary lift`. Connections then work as before: nobody has to connect anew.",
	},
	"temporarily_unavailable": {
		"The database did not answer.", FixerOperator,
		"Most of the time this passes within a minute. If not, look at the database.",
	},
	"unavailable": {
		"The database did not answer.", FixerOperator,
		"Most of the time this passes within a minute. If not, look at the database.",
	},
	"server_error": {
		"Something went wrong on our side.", FixerOperator,
		"The log of the server has the cause under this case id.",
	},
	"rate_limited": {
		"Too many requests came at once.", FixerApp,
		"Wait as long as Retry-After says.",
	},
}
