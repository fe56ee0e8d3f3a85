package storybook

import (
	"github.com/ostiary/ostiary/templates/flow"
	"github.com/ostiary/ostiary/templates/layout"
	"github.com/ostiary/ostiary/templates/ui"
)

const posted = Prefix + "posted"

// acmeLogo is a tenant's logo as it is stored: an image in base64.
const acmeLogo = "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAyOCAyOCI+PHJlY3Qgd2lkdGg9IjI4IiBoZWln" +
	"aHQ9IjI4IiByeD0iNyIgZmlsbD0iIzcyMmE1YSIvPjxwYXRoIGQ9Ik03IDIwIDE0IDdsNyAxM00xMC4yIDE1LjhjMi42LTEuOCA1LTEuOCA3LjYgMCIg" +
	"ZmlsbD0ibm9uZSIgc3Ryb2tlPSIjZmZmIiBzdHJva2Utd2lkdGg9IjIuMiIgc3Ryb2tlLWxpbmVjYXA9InJvdW5kIi8+PC9zdmc+"

func acmeBrand() flow.Brand {
	return flow.Brand{
		Light: flow.BrandColors{
			Brand: "oklch(0.41 0.115 342)", Hover: "oklch(0.355 0.105 342)", Soft: "oklch(0.955 0.018 342)", On: "#fff",
		},
		Dark: flow.BrandColors{
			Brand: "oklch(0.77 0.095 342)", Hover: "oklch(0.82 0.085 342)", Soft: "oklch(0.28 0.04 342)",
			On: "oklch(0.2 0.04 342)",
		},
		Radius: "10",
	}
}

func acme() layout.Branding {
	return layout.Branding{
		Name: "Acme Data", StylesheetURL: Prefix + "brand.css",
		Legal: []ui.Link{
			{Label: "Acme privacy", URL: "https://acmedata.example/privacy"},
			{Label: "Terms", URL: "https://acmedata.example/terms"},
			{Label: "Get help", URL: "mailto:support@acmedata.example"},
		},
	}
}

func claude() flow.Asker { return flow.Asker{Host: "claude.ai", Verified: true, Name: "Claude"} }

func notebook() flow.Asker {
	return flow.Asker{Host: "127.0.0.1", Name: "acme-notebook", Local: true}
}

func loginView() flow.LoginView {
	return flow.LoginView{
		Branding: acme(), Asker: claude(), Server: "Acme Data", Action: posted, Interaction: "int_demo",
		Cancel: ui.Action{
			Label: "Cancel and go back to claude.ai", URL: posted, Post: true,
			Hidden: []ui.Hidden{{Name: flow.FieldInteraction, Value: "int_demo"}, {Name: flow.FieldDecision, Value: flow.DecisionCancel}},
		},
	}
}

func loginStories() []Story {
	wrong := loginView()
	wrong.Email = "user@northwind.example"
	wrong.Error = &ui.Notice{
		Tone: ui.ToneDanger, What: "That e-mail and password do not match.",
		Then: "Check both and try again, or ask Acme Data to reset your password.",
	}
	fields := loginView()
	fields.Email = "user@northwind"
	fields.EmailError = "Write the whole address, like name@company.example."
	fields.PasswordError = "Write your password."
	limited := loginView()
	limited.Email = "user@northwind.example"
	limited.Error = &ui.Notice{
		Tone: ui.ToneWarn, What: "Too many tries.",
		Then: "Wait 5 minutes, then try again. Your request from claude.ai waits until 22:40.",
	}
	local := loginView()
	local.Asker, local.Cancel = notebook(), ui.Action{}
	long := loginView()
	long.Branding.Name, long.Server = longName, longName
	long.Asker = flow.Asker{Host: longHost, Name: longWord}
	long.Email = longWord + "@" + longHost
	alone := flow.LoginView{
		Branding: layout.Branding{Name: "Acme Data"}, Action: posted,
		HelpLink: ui.Link{Label: "Forgot your password?", URL: "https://acmedata.example/reset"},
	}
	logo := alone
	logo.Branding = acme()
	logo.Branding.LogoURL = "data:image/svg+xml;base64," + acmeLogo
	return []Story{
		page("login", "Sign-in", "Asked by a verified host", flow.Login(loginView())),
		page("login-wrong", "Sign-in", "Wrong password", flow.Login(wrong)),
		page("login-fields", "Sign-in", "Fields in error", flow.Login(fields)),
		page("login-limited", "Sign-in", "Too many tries", flow.Login(limited)),
		page("login-local", "Sign-in", "Asked by an app on this computer", flow.Login(local)),
		page("login-long", "Sign-in", "Long names", flow.Login(long)),
		page("login-plain", "Sign-in", "Default brand, nobody asks", flow.Login(alone)),
		page("login-logo", "Sign-in", "Logo as an image", flow.Login(logo)),
		page("signed-out", "Sign-in", "Signed out", flow.SignedOut(flow.SignedOutView{
			Branding: acme(), Lead: "On this browser. Apps you allowed keep working until you revoke them.",
			Primary: ui.Action{Label: "Sign in again", URL: Prefix + "login"},
		})),
	}
}

func issuerErrorStories() []Story {
	full := flow.ErrorView{
		Branding: acme(), Title: "Acme’s sign‑in did not answer",
		Lead: "You were connecting Claude to Acme Data. Your request is safe and waits for you until 22:40; nothing has been shared.",
		Fixes: []ui.Fix{
			{Title: "You can try again", Text: "Most of the time this passes within a minute. You carry on where you stopped."},
			{
				Icon: ui.IconServer, Title: "If it keeps happening, Acme Data can fix it",
				Text: "Their sign-in at login.acmedata.example took longer than 10 seconds. They have been told.",
			},
		},
		Primary:   ui.Action{Label: "Resume", URL: Prefix + "login"},
		Secondary: ui.Action{Label: "Back to claude.ai", URL: "https://claude.ai/"},
		CaseID:    "OST-7Q4M-2KX9", When: "22 Nov 2026, 21:43 UTC",
		Support: ui.Link{Label: "support@acmedata.example", URL: "mailto:support@acmedata.example"},
	}
	refused := flow.ErrorView{
		Branding: acme(), Title: "This app sent an address we do not know",
		Lead: "An app asked to send you back to an address it has not registered. We stopped here, so nothing has been shared.",
		Fixes: []ui.Fix{
			{Icon: ui.IconX, Title: "You can close this page", Text: "If you did not start this, that is all there is to do."},
			{Icon: ui.IconClient, Title: "The app’s maker can fix it", Text: "The address must be registered exactly as it is sent."},
		},
		Facts: []ui.Fact{
			{Label: "Error", Value: "invalid_request", Mono: true},
			{Label: "Address sent", Value: "https://evil.example/callback?with=a-very-long-query-string-nobody-wants-to-read", Copy: true},
		},
		CaseID: "OST-9ZZP-11AB", When: "22 Nov 2026, 21:43 UTC",
	}
	long := full
	long.Title, long.Lead, long.CaseID = longWord, longWord+" "+arabic, longWord
	long.Primary.Label, long.Secondary.Label = longName, longName
	return []Story{
		page("error", "Errors", "Upstream sign-in is down", flow.Error(full)),
		page("error-refused", "Errors", "Unknown return address", flow.Error(refused)),
		page("error-bare", "Errors", "Nothing but words", flow.Error(flow.ErrorView{
			Branding: layout.Branding{Name: "Acme Data"}, Title: "There is nothing here", Lead: "The address may be mistyped.",
		})),
		page("error-long", "Errors", "Long names", flow.Error(long)),
	}
}
