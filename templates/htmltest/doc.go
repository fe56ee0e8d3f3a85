// Package htmltest checks what templates print: that it is well formed, labelled, free of inline script and style, and asks
// no other host for anything. Only tests import it.
package htmltest
