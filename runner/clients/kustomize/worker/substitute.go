package main

import (
	"context"
	"fmt"
	"regexp"
	"sort"
	"strings"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
)

const substituteKey = "kustomize.toolkit.fluxcd.io/substitute"

var variableName = regexp.MustCompile(`^[_[:alpha:]][_[:alpha:][:digit:]]*$`)

// substitution is spec.postBuild of one build.
type substitution struct {
	variables   map[string]string
	display     map[string]string // variables, the secret ones replaced; nil when there are none
	overridable map[string]bool
	strict      bool
	always      bool
	keep        bool
}

// newSubstitution returns nil when nothing is to be substituted.
func newSubstitution(q *request, kustomization unstructured.Unstructured) *substitution {
	spec, _ := kustomization.Object["spec"].(map[string]any)
	if spec["postBuild"] == nil {
		return nil
	}
	postBuild, _ := spec["postBuild"].(map[string]any)
	s := &substitution{
		variables:   map[string]string{},
		overridable: map[string]bool{},
		strict:      q.Strict,
		keep:        q.KeepUnresolved,
		// A source that is unavailable now has variables when it is there, so substitution takes place.
		always: postBuild["substituteStrategy"] == "Always" || q.KeepUnresolved,
	}
	for name, value := range q.Variables {
		s.variables[name] = strings.ReplaceAll(value, "\n", "") // as Flux does
	}
	for _, name := range q.Overridable {
		s.overridable[name] = true
	}
	if len(s.variables) == 0 && !s.always {
		return nil
	}
	s.setDisplay(q.Display)
	return s
}

func (s *substitution) setDisplay(shown map[string]string) {
	for name, value := range shown {
		if _, set := s.variables[name]; !set {
			continue
		}
		if s.display == nil {
			s.display = map[string]string{}
			for other, real := range s.variables {
				s.display[other] = real
			}
		}
		s.display[name] = value
	}
}

// badNames reports every variable that Flux would stop at.
func (s *substitution) badNames() (problems []problem) {
	for name := range s.variables {
		if !variableName.MatchString(name) {
			message := fmt.Sprintf("'%s' var name is invalid, must match '%s'", name, variableName)
			problems = append(problems, problem{
				Code: "invalid_variable_name", Stage: "substitute", Message: message, Variable: name,
			})
		}
	}
	sort.Slice(problems, func(i, j int) bool { return problems[i].Variable < problems[j].Variable })
	return problems
}

func (s *substitution) unresolved(name string) bool {
	_, set := s.variables[name]
	return !set || s.overridable[name]
}

func optedOut(r *resource.Resource) bool {
	return r.GetLabels()[substituteKey] == fluxkustomize.DisabledValue ||
		r.GetAnnotations()[substituteKey] == fluxkustomize.DisabledValue
}

// substituted is what became of one resource.
type substituted struct {
	kept    verbatim
	display *resource.Resource // nil when it would be the same
}

// apply substitutes a resource in place.
func (s *substitution) apply(all resmap.ResMap, r *resource.Resource) (out substituted, problems []problem) {
	var err error
	if s.keep {
		if out.kept, err = keep(r, s.valuesText(), s.unresolved); err != nil {
			return out, []problem{s.problem(r, err)}
		}
	}
	if s.display != nil {
		document, err := r.AsYAML()
		if err == nil && mentions(string(document), s.display) {
			out.display = r.DeepCopy()
		}
	}
	before := r.CurId()
	if err := s.run(r, s.variables); err != nil {
		return out, s.diagnose(r, out.kept, err)
	}
	// Flux looks every resource up by its new name; that can only fail when the name has changed.
	if r.CurId() != before {
		if _, err := all.Replace(r); err != nil {
			return out, []problem{s.problem(r, err)}
		}
	}
	if out.display != nil && s.run(out.display, s.display) != nil {
		out.display = nil
		s.showNothing(r, &out)
	}
	return out, nil
}

// showNothing is for values whose replacement does not fit where they stand: what remains to be shown
// is which object it is.
func (s *substitution) showNothing(r *resource.Resource, out *substituted) {
	shown := r.DeepCopy()
	identity, err := resourceFromIdentity(shown)
	if err == nil {
		out.display = identity
	}
}

func resourceFromIdentity(r *resource.Resource) (*resource.Resource, error) {
	metadata := map[string]any{"name": r.GetName()}
	if namespace := r.GetNamespace(); namespace != "" {
		metadata["namespace"] = namespace
	}
	object := unstructured.Unstructured{Object: map[string]any{
		"apiVersion": r.GetApiVersion(), "kind": r.GetKind(), "metadata": metadata,
	}}
	data, err := object.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return r, r.UnmarshalJSON(data)
}

func (s *substitution) valuesText() string {
	var text strings.Builder
	for _, values := range []map[string]string{s.variables, s.display} {
		for _, value := range values {
			text.WriteString(value)
		}
	}
	return text.String()
}

// run is Flux's substitution. The variables are given as inline ones, so it needs no cluster.
func (s *substitution) run(r *resource.Resource, variables map[string]string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("recovered from substitution panic: %v", p)
		}
	}()
	inline := make(map[string]any, len(variables))
	for name, value := range variables {
		inline[name] = value
	}
	kustomization := unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{"postBuild": map[string]any{"substitute": inline}},
	}}
	_, err = fluxkustomize.SubstituteVariables(context.Background(), nil, kustomization, r,
		fluxkustomize.SubstituteWithDryRun(true),
		fluxkustomize.SubstituteWithStrict(s.strict),
		fluxkustomize.SubstituteWithAlways(s.always))
	return err
}

func (s *substitution) problem(r *resource.Resource, err error) problem {
	return problem{Code: "substitution", Stage: "substitute", Message: err.Error(), Subject: subjectOf(r)}
}
