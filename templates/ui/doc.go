// Package ui owns the components every page is built from: icons, buttons, fields, badges, callouts, copyable ids, tables
// of tools. A component takes one small view struct, or a few strings, ready to print.
//
// It refuses to think (no formatting of times, no counting of rows, no lookups), to link anywhere a link must not go (see
// LinkURL, PostURL and ImageURL), and to emit inline script, inline style, or anything that loads from another host.
package ui
