// Package static owns the stylesheet, the scripts and the favicon: their sources, embedded; their addresses, which carry a
// hash of their content; and the handler that serves them.
//
// One stylesheet (app.css, joined from css/ in a fixed order) and one script (app.js) go with every page; htmx.js only
// with a page that previews live. There is no bundler and nothing is fetched from another host.
package static
