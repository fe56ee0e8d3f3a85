package htmltest

import "reflect"

// Fill sets every string a view can hold to s and every bool to b, makes every slice two long and every pointer point
// somewhere. View must be a pointer to a struct.
func Fill(view any, s string, b bool) { fill(reflect.ValueOf(view).Elem(), s, b) }

func fill(v reflect.Value, s string, b bool) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		v.SetBool(b)
	case reflect.Int:
		v.SetInt(2)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), s, b)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), s, b)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), s, b)
			}
		}
	default:
		panic("htmltest: a view holds a " + v.Kind().String())
	}
}
