// Command gosdk is the official Go SDK's client with the least an application must add: a loopback callback and a way to
// open a browser. The end-to-end tests run it; it refuses to know anything of Ostiary.
package main
