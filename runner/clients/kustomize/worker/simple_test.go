package main

import (
	"math/rand"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// trees makes resources out of what YAML, or the substitution, is known to stumble over.
type trees struct{ *rand.Rand }

var (
	words = strings.Fields(`a A apps/v1 y n yes No on OFF true False null ~ NaN .inf -.INF 1 -1 01 0o7 0x1F 0b1 1_000 1e3
		1.0 -0 +1 .5 1:30 12:30:45 2020-01-01 2020-01-01T00:00:00Z << = - -- --- ... ? : # a: a:b :a #a a#b & * ! | > %
		@ { } [ ] , {} [] " ' it's "q" \ \n & &a *a !a !!str {a: [b,c] <<: 12345678 123456789012345 1234567890123456
		9007199254740993 1000000 100000 1e21 0.1 key example.org/site registry.example/app:1 é %YAML $ $$ ${ } ${site}
		$${site} ${site}${n} ${n}${site} ${site}: ${end} ${url} -${site} app.${site}.org:${n} https://${site}/${url}
		${yes} ${empty} ${empty}a ${empty}: ${missing} ${site:=x} ${site/n/m} ${${site}} ${n} a${n} '${site}' "${site}"
		${site}#${site} \${site} ${site}- ${e}${x}p n${empty} ${null}`)
	separators = []string{" ", "  ", "\n", "\n\n", " \n", "\n ", "\n  ", "\t", "", ": ", " #", "\n---\n", "\n...\n", ", "}
	styles     = []yaml.Style{0, 0, yaml.FlowStyle, yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle, yaml.LiteralStyle,
		yaml.FoldedStyle}
	values = map[string]string{"site": "north", "n": "12", "end": "x:", "url": "a/b:c", "yes": "Yes", "empty": "",
		"e": "e", "x": "x", "null": "null"}
)

func (t trees) word() string { return words[t.Intn(len(words))] }

func (t trees) tag(usual string) string {
	if t.Intn(3) == 0 {
		return "" // as kustomize makes some
	}
	return usual
}

func (t trees) text() string {
	var text strings.Builder
	separator := separators[t.Intn(len(separators))]
	for range []int{1, 1, 2, 3, 40}[t.Intn(5)] {
		text.WriteString(t.word())
		if t.Intn(4) == 0 {
			separator = separators[t.Intn(len(separators))]
		}
		text.WriteString(separator)
	}
	if t.Intn(2) == 0 {
		return strings.TrimSuffix(text.String(), separator)
	}
	return text.String()
}

func (t trees) node(depth int) *yaml.Node {
	style := styles[t.Intn(len(styles))]
	switch kind := t.Intn(6); {
	case kind < 2 && depth > 0:
		return t.mapping(depth-1, style&yaml.FlowStyle)
	case kind == 2 && depth > 0:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: style & yaml.FlowStyle, Tag: t.tag(yaml.NodeTagSeq)}
		for range t.Intn(4) {
			list.Content = append(list.Content, t.node(depth-1))
		}
		return list
	case kind == 3:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: t.word()} // whatever it is read as
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: yaml.NodeTagString, Style: style &^ yaml.FlowStyle, Value: t.text()}
}

func (t trees) mapping(depth int, style yaml.Style) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode, Style: style, Tag: t.tag(yaml.NodeTagMap)}
	for range t.Intn(4) {
		key := yaml.NewStringRNode(t.word()).YNode()
		if t.Intn(4) == 0 {
			key.Value = t.text()
		}
		key.Tag = t.tag(key.Tag)
		m.Content = append(m.Content, key, t.node(depth))
	}
	return m
}

// resource is a tree as kustomize has it: as it was made, or as it was read; nil when neither works.
func (t trees) resource() *resource.Resource {
	document := t.mapping(4, 0)
	for _, word := range []string{"kind", "ConfigMap", "apiVersion", "v1"} {
		document.Content = append(document.Content, yaml.NewStringRNode(word).YNode())
	}
	node := yaml.NewRNode(document)
	if text, err := node.String(); err != nil {
		return nil
	} else if t.Intn(2) == 0 {
		if node, err = yaml.Parse(text); err != nil {
			return nil
		}
	}
	return &resource.Resource{RNode: *node}
}

func TestShortcutEndsWhereTheLongWayDoes(t *testing.T) {
	random := trees{rand.New(rand.NewSource(1))}
	for name, s := range map[string]*substitution{
		"not substituted": nil,
		"substituted":     {variables: values, strict: true},
		"kept":            {variables: values, strict: true, keep: true},
	} {
		taken := 0
		for range 10_000 {
			r := random.resource()
			if r == nil {
				continue
			}
			short, ok := s.shortcut(r)
			if !ok {
				continue
			}
			taken++
			before := r.MustString()
			var problems []problem
			if s != nil {
				_, problems = s.apply(nil, r)
			}
			long, err := read(r)
			if err != nil || len(problems) > 0 || !reflect.DeepEqual(short, long) {
				t.Fatalf("%s: %v %v\n%s\n%v\n%v", name, err, problems, before, short, long)
			}
		}
		if taken < 500 {
			t.Errorf("%s: only %d were simple", name, taken)
		}
	}
}

func TestShortcutIsTakenByWhatIsCommon(t *testing.T) {
	s := &substitution{variables: values, strict: true}
	for text, taken := range map[string]bool{
		"data: {a: b c, n: 8080, t: true, z: null, url: 'https://app.${site}/${url}'}": true,
		"data: {script: \"#!/bin/sh\\necho x\\n\"}":                                    true,
		"data: {a: '${n}'}":                          false, // becomes a number
		"data: {a: '${yes}'}":                        false, // and this a boolean
		"data: {a: '${missing}'}":                    false,
		"data: {a: 0.5}":                             false,
		"data: {a: b} # c":                           false,
		"metadata: {namespace: '${site}'}\ndata: {}": false,
		"items: []":                                  false,
	} {
		r := &resource.Resource{RNode: *yaml.MustParse("apiVersion: v1\nkind: ConfigMap\n" + text)}
		if _, ok := s.shortcut(r); ok != taken {
			t.Errorf("%s: %v", text, ok)
		}
	}
}
