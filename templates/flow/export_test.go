package flow

import "github.com/a-h/templ"

// Piece is a part of a page as it is printed, and drawn anew.
type Piece struct{ Printed, Anew templ.Component }

// ConsentPieces are the parts of a consent page that may have been drawn before, for somebody else.
func ConsentPieces(view ConsentView) map[string]Piece {
	pieces := map[string]Piece{
		"presets":   {presetsOf(view), presets(view)},
		"durations": {durationsOf(view), durations(view.id("duration"), view.Durations)},
		"act":       {actOf(view), act(view)},
	}
	for gi, g := range view.Groups {
		for pi, p := range g.Permissions {
			added, edited := p, p // marked on copies of what is drawn
			added.New, edited.Edited = true, true
			for mark, p := range map[string]Permission{"": p, " new": added, " edited": edited} {
				at := permissionView{p, g.Risk, view.id("perm", gi, pi)}
				pieces[at.id+mark] = Piece{permissionOf(at), permission(at)}
			}
		}
	}
	return pieces
}

// ConsentPiecesPreviewed are those of the preview.
func ConsentPiecesPreviewed(view ConsentView) map[string]Piece { return ConsentPieces(view.preview()) }

// LoginPiece is the part of a sign-in page that may have been drawn before.
func LoginPiece(view LoginView) Piece { return Piece{loginFieldsOf(view), loginFields(view)} }
