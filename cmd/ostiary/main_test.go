package main

import (
	"testing"

	"github.com/ostiary/ostiary/app/apptest"
)

func TestMain(m *testing.M) { apptest.Main(m) }
