package clients_test

import (
	"testing"

	"github.com/ostiary/ostiary/app/apptest"
)

func TestMain(m *testing.M) { apptest.Main(m) }
