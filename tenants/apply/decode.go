package apply

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/ostiary/ostiary/tenants/check"
)

// decoder reads a syntax tree into a File. A library's decoder stops at its first problem; this one goes on, so that
// somebody who fixes a file fixes it once, and notes where everything stands for the checks that follow.
type decoder struct {
	problems check.Problems
	places   places
}

func (d *decoder) value(path string, node ast.Node, into reflect.Value) {
	d.note(path, node)
	switch n := node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		d.problems.Add(path, "Write the value itself: anchors, aliases and tags are not read.")
		return
	case *ast.NullNode:
		return // as if it were not there
	case *ast.LiteralNode:
		node = n.Value
	}
	if into.Kind() == reflect.Pointer && into.IsNil() {
		into.Set(reflect.New(into.Type().Elem()))
		into = into.Elem()
	}
	if text, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(path, node, text)
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		d.mapping(path, node, into)
	case reflect.Slice:
		d.sequence(path, node, into)
	default:
		d.scalar(path, node, into)
	}
}

func (d *decoder) note(path string, node ast.Node) {
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		node = m.Values[0].Key // a block mapping's own token is a colon
	}
	if t := node.GetToken(); t != nil && t.Position != nil {
		d.places[path] = place{t.Position.Line, t.Position.Column}
	}
}

func (d *decoder) text(path string, node ast.Node, into encoding.TextUnmarshaler) {
	s, ok := node.(*ast.StringNode)
	if !ok {
		d.problems.Add(path, "Write text here.")
		return
	}
	if err := into.UnmarshalText([]byte(s.Value)); err != nil {
		d.problems.Add(path, err.Error())
	}
}

func (d *decoder) scalar(path string, node ast.Node, into reflect.Value) {
	switch n := node.(type) {
	case *ast.StringNode:
		if into.Kind() == reflect.String {
			into.SetString(n.Value)
			return
		}
	case *ast.BoolNode:
		if into.Kind() == reflect.Bool {
			into.SetBool(n.Value)
			return
		}
	}
	if into.Kind() == reflect.Bool {
		d.problems.Add(path, "Write true or false.")
		return
	}
	switch node.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		d.problems.Add(path, "Put this in quotes: it has to be text.")
	default:
		d.problems.Add(path, "Write text here.")
	}
}

func (d *decoder) sequence(path string, node ast.Node, into reflect.Value) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		d.problems.Add(path, "Write a list here, each entry behind “- ”.")
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(list.Values), len(list.Values)))
	for i, entry := range list.Values {
		d.value(fmt.Sprintf("%s[%d]", path, i), entry, into.Index(i))
	}
}

func (d *decoder) mapping(path string, node ast.Node, into reflect.Value) {
	var entries []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		entries = n.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{n}
	default:
		d.problems.Addf(path, "Write keys and values here: %s.", strings.Join(keysOf(into.Type()), ", "))
		return
	}
	seen := map[string]bool{}
	for _, entry := range entries {
		key, ok := entry.Key.(*ast.StringNode)
		if !ok {
			d.unknown(path, entry.Key, entry.Key.String(), into.Type())
			continue
		}
		field := fieldOf(into, key.Value)
		if !field.IsValid() {
			d.unknown(path, key, key.Value, into.Type())
			continue
		}
		at := strings.TrimPrefix(path+"."+key.Value, ".")
		if seen[key.Value] {
			d.note(at, key)
			d.problems.Add(at, "This key is here twice.")
			continue
		}
		seen[key.Value] = true
		d.value(at, entry.Value, field)
	}
}

func (d *decoder) unknown(path string, node ast.Node, key string, in reflect.Type) {
	at := strings.TrimPrefix(path+"."+key, ".")
	d.note(at, node)
	d.problems.Addf(at, "There is no such key. Keys here: %s.", strings.Join(keysOf(in), ", "))
}

// fieldOf returns the field that key names, the zero Value when there is none.
func fieldOf(v reflect.Value, key string) reflect.Value {
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "" && name == key {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" {
			keys = append(keys, name)
		}
	}
	return slices.Clip(keys)
}
