package rows

import (
	"database/sql/driver"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"
)

// TextArray is a Postgres text[] for database/sql, which knows no arrays.
type TextArray []string

// Scan reads the text form of an array.
func (a *TextArray) Scan(src any) error {
	return pgtype.NewMap().SQLScanner((*[]string)(a)).Scan(src)
}

// Value returns the text form of the array.
func (a TextArray) Value() (driver.Value, error) {
	list := []string(a)
	if list == nil {
		list = []string{}
	}
	text, err := pgtype.NewMap().Encode(pgtype.TextArrayOID, pgtype.TextFormatCode, list, nil)
	if err != nil {
		return nil, fmt.Errorf("encode text array: %w", err)
	}
	return string(text), nil
}
