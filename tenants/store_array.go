package tenants

import "github.com/ostiary/ostiary/tenants/rows"

// textArray is a Postgres text[] for database/sql, which knows no arrays.
type textArray = rows.TextArray
