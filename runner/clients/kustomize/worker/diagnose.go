package main

import (
	"fmt"
	"regexp"
	"sort"
	"strings"

	"github.com/fluxcd/pkg/envsubst"
	"github.com/fluxcd/pkg/envsubst/parse"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/yaml"
)

// diagnose turns one failed substitution into everything that is wrong with the resource, each with the
// place in the object. Flux stops at the first and says only which object it was.
func (s *substitution) diagnose(r *resource.Resource, kept verbatim, cause error) (problems []problem) {
	document, err := r.AsYAML()
	var object any
	if err == nil {
		err = yaml.Unmarshal(document, &object)
	}
	if err != nil {
		return []problem{s.problem(r, cause)}
	}
	for _, l := range leaves("$", object) {
		if parses(string(document)) && !parses(l.text) {
			continue // its expression ends in another value
		}
		for _, p := range s.faults(l) {
			p.Stage, p.Subject, p.JSONPath = "substitute", subjectOf(r), kept.restoreText(l.path)
			problems = append(problems, p)
		}
	}
	problems = append(problems, s.unplaced(r, string(document), problems)...)
	if len(problems) == 0 {
		problems = []problem{s.problem(r, cause)}
	}
	return problems
}

func parses(text string) bool {
	_, err := parse.Parse(text)
	return err == nil
}

// unplaced finds missing variables of expressions that reach over more than one value.
func (s *substitution) unplaced(r *resource.Resource, document string, placed []problem) (problems []problem) {
	if !s.strict {
		return nil
	}
	known := map[string]bool{}
	for _, p := range placed {
		known[p.Variable] = true
	}
	for _, name := range sorted(missing(document, s.variables)) {
		if !known[name] {
			p := notSet(name)
			p.Stage, p.Subject = "substitute", subjectOf(r)
			problems = append(problems, p)
		}
	}
	return problems
}

func notSet(name string) problem {
	message := fmt.Sprintf("variable not set (strict mode): %q", name)
	return problem{Code: "missing_variable", Message: message, Variable: name}
}

// faults substitutes one value on its own.
func (s *substitution) faults(l leaf) (problems []problem) {
	if s.strict {
		for _, name := range sorted(missing(l.text, s.variables)) {
			problems = append(problems, notSet(name))
		}
	}
	if len(problems) > 0 {
		return problems
	}
	if err := s.try(l); err != nil {
		p := problem{Code: "substitution", Message: err.Error()}
		if found, err := spans(l.text); err == nil && len(found) == 1 && len(found[0].names) == 1 {
			p.Variable = sorted(found[0].names)[0]
		}
		problems = append(problems, p)
	}
	return problems
}

func (s *substitution) try(l leaf) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("substitution panic: %v", p)
		}
	}()
	alone := map[string]any{"value": l.text}
	if l.isKey {
		alone = map[string]any{l.text: nil}
	}
	document, err := yaml.Marshal(alone)
	if err != nil {
		return err
	}
	text, err := envsubst.Eval(string(document), func(name string) (string, bool) {
		value, set := s.variables[name]
		return value, set || !s.strict
	})
	if err != nil {
		return fmt.Errorf("variable substitution failed: %w", err)
	}
	if _, err = yaml.YAMLToJSON([]byte(text)); err != nil {
		return fmt.Errorf("after substitution: %w", err)
	}
	return nil
}

// leaf is a string, or a key, that has an expression.
type leaf struct {
	path  string
	text  string
	isKey bool
}

var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func leaves(path string, value any) (found []leaf) {
	switch v := value.(type) {
	case string:
		if strings.Contains(v, "${") {
			found = append(found, leaf{path, v, false})
		}
	case []any:
		for i, child := range v {
			found = append(found, leaves(fmt.Sprintf("%s[%d]", path, i), child)...)
		}
	case map[string]any:
		for _, key := range sorted(v) {
			below := path + "." + key
			if !plainKey.MatchString(key) {
				below = fmt.Sprintf("%s[%q]", path, key)
			}
			if strings.Contains(key, "${") {
				found = append(found, leaf{below, key, true})
			}
			found = append(found, leaves(below, v[key])...)
		}
	}
	return found
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
