package main

import (
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// Flux emits every resource as YAML and reads it again, several times over, and what is read may differ
// from what was emitted. That takes longer than all the rest of a small build. So what certainly comes
// back as it is, is taken as it is: short keys, plain ASCII, small whole numbers, and expressions that
// stand for a word. All else goes the long way.

// simple reads the tree of a resource.
type simple struct {
	variables map[string]string // nil when expressions are mere text
}

// shortcut gives the object that a resource becomes; false when only the long way can tell. Without a
// substitution there still is the way through YAML.
func (s *substitution) shortcut(r *resource.Resource) ([]*unstructured.Unstructured, bool) {
	var short simple
	switch {
	case s == nil:
	case s.display != nil || s.keep:
		short.variables = map[string]string{} // an expression is more than its value then
	default:
		short.variables = s.variables
	}
	value, ok := short.value(r.YNode(), maxDepth)
	content, isMap := value.(map[string]any)
	if _, isList := content["items"]; !ok || !isMap || isList {
		return nil, false
	}
	object := &unstructured.Unstructured{Object: content}
	// An object that gets another name may become one that is there already.
	same := object.GetAPIVersion() == r.GetApiVersion() && object.GetKind() == r.GetKind() &&
		object.GetName() == r.GetName() && object.GetNamespace() == r.GetNamespace()
	return []*unstructured.Unstructured{object}, same
}

func (s simple) value(node *yaml.Node, left int) (any, bool) {
	if left == 0 || node.Anchor != "" || node.Style&yaml.TaggedStyle != 0 ||
		node.HeadComment != "" || node.LineComment != "" || node.FootComment != "" {
		return nil, false
	}
	switch {
	case node.Kind == yaml.MappingNode && (node.Tag == yaml.NodeTagMap || node.Tag == ""):
		return s.mapping(node, left)
	case node.Kind == yaml.SequenceNode && (node.Tag == yaml.NodeTagSeq || node.Tag == ""):
		return s.list(node, left)
	case node.Kind == yaml.ScalarNode:
		return s.scalar(node)
	}
	return nil, false
}

func (s simple) mapping(node *yaml.Node, left int) (any, bool) {
	content := make(map[string]any, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, ok := s.value(node.Content[i], left-1)
		name, isText := key.(string)
		if _, again := content[name]; !ok || !isText || again || !simpleKey.MatchString(node.Content[i].Value) {
			return nil, false
		}
		if content[name], ok = s.value(node.Content[i+1], left-1); !ok {
			return nil, false
		}
	}
	return content, true
}

func (s simple) list(node *yaml.Node, left int) (any, bool) {
	list := make([]any, 0, len(node.Content))
	for _, child := range node.Content {
		value, ok := s.value(child, left-1)
		if !ok {
			return nil, false
		}
		list = append(list, value)
	}
	return list, true
}

var (
	simpleKey    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]{0,99}$`)
	simpleNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,14})$`) // a float64 holds it without loss

	// The text around an expression ends no value and begins none, and what it becomes is one word,
	// quoted or not, that YAML takes for nothing but text.
	expression = regexp.MustCompile(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)
	template   = regexp.MustCompile(`^([A-Za-z0-9_./:-]|` + expression.String() + `)+$`)
	word       = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_./:-]*[A-Za-z0-9])?$`)
	otherThan  = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null|nan|inf)$`)
)

func (s simple) scalar(node *yaml.Node) (any, bool) {
	switch node.Tag {
	case yaml.NodeTagString:
		if s.variables != nil && strings.Contains(node.Value, "$") {
			return s.expand(node.Value)
		}
		return node.Value, node.Style&yaml.FoldedStyle == 0 && simpleText(node.Value)
	case yaml.NodeTagInt:
		number, err := strconv.ParseInt(node.Value, 10, 64)
		return number, err == nil && node.Style == 0 && simpleNumber.MatchString(node.Value)
	case yaml.NodeTagBool:
		return node.Value == "true", node.Style == 0 && (node.Value == "true" || node.Value == "false")
	case yaml.NodeTagNull:
		return nil, node.Style == 0 && node.Value == "null"
	case "": // kustomize leaves the type of what it inserts to whoever reads it
		return node.Value, node.Style == 0 && isWord(node.Value)
	}
	return nil, false
}

func (s simple) expand(text string) (any, bool) {
	if !template.MatchString(text) {
		return nil, false
	}
	known := true
	text = expression.ReplaceAllStringFunc(text, func(found string) string {
		value, set := s.variables[found[2:len(found)-1]]
		known = known && set
		return value
	})
	return text, known && isWord(text)
}

func isWord(text string) bool {
	return word.MatchString(text) && !otherThan.MatchString(text)
}

// simpleText is printable ASCII; of several lines only where no white space is at an edge.
func simpleText(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c != '\n' && (c < ' ' || c > '~') {
			return false
		}
	}
	lines := strings.TrimSuffix(text, "\n")
	return !strings.Contains(text, "\n") ||
		lines != "" && lines == strings.TrimSpace(lines) && !strings.Contains(lines, " \n")
}
