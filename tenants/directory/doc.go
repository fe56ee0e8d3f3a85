// Package directory owns the people of an environment: users, who sign in during an authorization, and organizations, the
// tenant's own customers they belong to.
//
// It keeps argon2id hashes only, answers every failed sign-in in the same words and the same time, and counts attempts in
// tenants/attempts. Methods the issuer calls (Authenticate, Get) say so; the others begin with their authorization.
package directory
