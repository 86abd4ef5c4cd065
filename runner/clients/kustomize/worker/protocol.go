package main

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "k8s.io/apimachinery/pkg/util/json"
)

// request is one line of standard input. Which fields count depends on op.
type request struct {
	ID        json.RawMessage `json:"id"`
	Op        string          `json:"op"`
	TimeoutMs int64           `json:"timeoutMs"`

	// build and artifact
	Root string `json:"root"`

	// build
	Path           string            `json:"path"`
	Kustomization  json.RawMessage   `json:"kustomization"`
	Variables      map[string]string `json:"variables"`
	Strict         bool              `json:"strict"`
	KeepUnresolved bool              `json:"keepUnresolved"`
	Overridable    []string          `json:"overridable"`
	Display        map[string]string `json:"display"`
	Remote         *remote           `json:"remote"`
	Oracle         bool              `json:"oracle"`
	Open           bool              `json:"open"`
	Opened         map[string][]byte `json:"opened"`

	// parse
	Data []byte `json:"data"`

	// artifact: the source's spec.ignore
	Ignore string `json:"ignore"`

	// encode
	Objects []json.RawMessage `json:"objects"`

	// newest: an OCIRepository's spec.ref, and whether the layer that it selects is a Helm chart
	Tags   []string `json:"tags"`
	Range  string   `json:"range"`
	Filter string   `json:"filter"`
	Chart  bool     `json:"chart"`
}

// response is one line of standard output, for the request with the same id.
type response struct {
	ID       json.RawMessage `json:"id"`
	OK       bool            `json:"ok"`
	Errors   []problem       `json:"errors,omitempty"`
	Warnings []problem       `json:"warnings,omitempty"`

	Resources []rendered    `json:"resources,omitempty"`
	Closure   *closure      `json:"closure,omitempty"`
	Kfile     *kfile        `json:"kfile,omitempty"`
	Sealed    []sealedText  `json:"sealed,omitempty"`
	Used      []asked       `json:"used,omitempty"`
	Wanted    []asked       `json:"wanted,omitempty"`
	Unnamed   bool          `json:"unnamed,omitempty"`
	Objects   []parsed      `json:"objects,omitempty"`
	Artifact  *artifactDiff `json:"artifact,omitempty"`
	Text      string        `json:"text,omitempty"`
	Version   *versions     `json:"version,omitempty"`
}

type rendered struct {
	Object       map[string]any `json:"object"`
	Origin       string         `json:"origin,omitempty"`
	Substitution string         `json:"substitution,omitempty"`
	Unresolved   []string       `json:"unresolved,omitempty"`
	Display      map[string]any `json:"display,omitempty"`
}

type kfile struct {
	Path      string `json:"path"`
	Generated bool   `json:"generated"`
}

type parsed struct {
	Object   map[string]any `json:"object"`
	Document int            `json:"document"`
	Line     int            `json:"line"`
}

type problem struct {
	Code     string   `json:"code"`
	Stage    string   `json:"stage,omitempty"`
	Message  string   `json:"message"`
	Subject  *subject `json:"subject,omitempty"`
	Variable string   `json:"variable,omitempty"`
	JSONPath string   `json:"jsonPath,omitempty"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
	Entries  []string `json:"entries,omitempty"`
}

type subject struct {
	Group     string `json:"group"`
	Version   string `json:"version"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// kustomization decodes the request's Kustomization with whole numbers as Flux's code expects them.
func (q *request) kustomization() (unstructured.Unstructured, error) {
	var object map[string]any
	if err := kjson.Unmarshal(q.Kustomization, &object); err != nil {
		return unstructured.Unstructured{}, fmt.Errorf("kustomization: %w", err)
	}
	return unstructured.Unstructured{Object: object}, nil
}

func failure(code, stage, message string) response {
	return response{Errors: []problem{{Code: code, Stage: stage, Message: message}}}
}
