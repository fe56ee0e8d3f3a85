// Package storybook shows every component and every page in each state it can be in: empty, full, wrong, long, narrow.
//
// It is mounted by the development server only. Its stories are also what the golden tests print and what the
// accessibility checks open, so a state that is not here is a state nobody looked at.
package storybook
