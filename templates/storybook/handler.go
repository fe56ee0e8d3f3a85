package storybook

import "net/http"

// Prefix is the path under which Handler expects to be mounted.
const Prefix = "/storybook/"

// Handler serves the index and each story under Prefix.
func Handler() http.Handler {
	return http.NotFoundHandler()
}
