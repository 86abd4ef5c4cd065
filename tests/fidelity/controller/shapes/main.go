// Command shapes prints what the controller's typed structs make of an object, as JSON: of every kind that
// its client knows, which fields are there, which of them are left out when they are empty, and which are sent
// although Git has nothing of them. runner/typed/shapes.json is what it prints.
package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// A field's value is one of: a number, which is the place of a struct among the types; "s", "b" or "n" for
// text, a boolean or a number; ["[", item], ["{", item] or ["*", target]; ["o", empty] for what has a form of
// its own.
type field struct {
	name  string
	omits string // "e" when it is empty, "z" when it is zero, "" never
	value any
}

var (
	places = map[reflect.Type]int{}
	types  []map[string][2]any
)

func main() {
	kinds := map[string]int{}
	for gvk, kind := range scheme.Scheme.AllKnownTypes() {
		meta, ok := kind.FieldByName("ObjectMeta")
		// Flux leaves these two as they are.
		roles := gvk.Group == "rbac.authorization.k8s.io" && gvk.Version == "v1" &&
			(gvk.Kind == "Role" || gvk.Kind == "ClusterRole")
		if ok && meta.Type == reflect.TypeFor[metav1.ObjectMeta]() && !roles {
			kinds[gvk.GroupVersion().String()+" "+gvk.Kind] = -1
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		version, kind, _ := strings.Cut(name, " ")
		for gvk, found := range scheme.Scheme.AllKnownTypes() {
			if gvk.Kind == kind && gvk.GroupVersion().String() == version {
				kinds[name] = place(found)
			}
		}
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		lines = append(lines, text(name)+":"+text(kinds[name]))
	}
	fmt.Println(`{"kinds":{`)
	fmt.Println(strings.Join(lines, ",\n"))
	lines = nil
	for _, each := range types {
		lines = append(lines, text(each))
	}
	fmt.Println(`},"types":[`)
	fmt.Println(strings.Join(lines, ",\n"))
	fmt.Println(`]}`)
}

func text(value any) string {
	made, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(made)
}

func place(kind reflect.Type) int {
	if known, ok := places[kind]; ok {
		return known
	}
	at := len(types)
	places[kind] = at
	types = append(types, nil)
	made := map[string][2]any{}
	for _, each := range fields(kind) {
		made[each.name] = [2]any{each.omits, each.value}
	}
	types[at] = made
	return at
}

func fields(kind reflect.Type) []field {
	var found []field
	for i := range kind.NumField() {
		each := kind.Field(i)
		name, rest, _ := strings.Cut(each.Tag.Get("json"), ",")
		switch {
		case name == "-" || !each.IsExported():
		case name == "" && each.Anonymous:
			found = append(found, fields(each.Type)...)
		default:
			found = append(found, field{name, omits(each.Type, rest), shape(each.Type)})
		}
	}
	return found
}

func omits(kind reflect.Type, options string) string {
	for option := range strings.SplitSeq(options, ",") {
		if option == "omitzero" {
			return "z"
		}
		if option == "omitempty" && kind.Kind() != reflect.Struct {
			return "e"
		}
	}
	return ""
}

func shape(kind reflect.Type) any {
	entry := value.TypeReflectEntryOf(kind)
	if kind.Kind() != reflect.Pointer && entry.CanConvertToUnstructured() {
		empty, err := entry.ToUnstructured(reflect.New(kind).Elem())
		if err != nil {
			panic(err)
		}
		return []any{"o", empty}
	}
	switch kind.Kind() {
	case reflect.String:
		return "s"
	case reflect.Bool:
		return "b"
	case reflect.Map:
		return []any{"{", shape(kind.Elem())}
	case reflect.Slice:
		if kind.Elem().Kind() == reflect.Uint8 {
			return "s"
		}
		return []any{"[", shape(kind.Elem())}
	case reflect.Pointer:
		return []any{"*", shape(kind.Elem())}
	case reflect.Struct:
		return place(kind)
	case reflect.Interface:
		return []any{"o", nil}
	default:
		return "n"
	}
}
