package main

import (
	"sort"
	"strings"

	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/yaml"
)

// verbatim keeps expressions out of reach of the substitution: until it is over, their dollar signs are
// a character that neither the object nor any value has. All else of an expression stays, so YAML reads
// it, quoted or folded as it may be, as it would have read the expression.
type verbatim struct {
	standIn string // "" when nothing is kept
	names   []string
}

// keep hides the expressions of a resource that satisfy a condition.
func keep(r *resource.Resource, avoid string, unresolved func(name string) bool) (verbatim, error) {
	document, err := r.AsYAML()
	if err != nil {
		return verbatim{}, err
	}
	text := string(document)
	found, err := spans(text)
	if err != nil {
		return verbatim{}, nil //nolint:nilerr // the substitution is about to fail, and to say why
	}
	v := verbatim{standIn: unusedRune(text + avoid)}
	hidden, kept := v.hide(text, found, unresolved)
	if len(kept) == 0 {
		return verbatim{}, nil
	}
	for name := range kept {
		v.names = append(v.names, name)
	}
	sort.Strings(v.names)
	data, err := yaml.YAMLToJSON([]byte(hidden))
	if err != nil {
		return verbatim{}, err
	}
	return v, r.UnmarshalJSON(data)
}

func (v verbatim) hide(text string, found []span, unresolved func(string) bool) (string, map[string]bool) {
	var hidden strings.Builder
	kept := map[string]bool{}
	last := 0
	for _, s := range found {
		keeps := false
		for name := range s.names {
			if unresolved(name) {
				keeps, kept[name] = true, true
			}
		}
		if keeps {
			hidden.WriteString(text[last:s.start])
			hidden.WriteString(strings.ReplaceAll(text[s.start:s.end], "$", v.standIn))
			last = s.end
		}
	}
	hidden.WriteString(text[last:])
	return hidden.String(), kept
}

// unusedRune takes a character from Unicode's private area, which YAML prints as it is.
func unusedRune(text string) string {
	for r := '\uE000'; r < '\uF8FF'; r++ {
		if !strings.ContainsRune(text, r) {
			return string(r)
		}
	}
	panic("every private character is in use")
}

func (v verbatim) restoreText(text string) string {
	if v.standIn == "" {
		return text
	}
	return strings.ReplaceAll(text, v.standIn, "$")
}

// restore gives the dollar signs back, in keys too.
func (v verbatim) restore(value any) any {
	if v.standIn == "" {
		return value
	}
	switch x := value.(type) {
	case string:
		return v.restoreText(x)
	case []any:
		for i, child := range x {
			x[i] = v.restore(child)
		}
	case map[string]any:
		restored := make(map[string]any, len(x))
		for key, child := range x {
			restored[v.restoreText(key)] = v.restore(child)
		}
		return restored
	}
	return value
}
