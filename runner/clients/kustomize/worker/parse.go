package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	yaml3 "go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// document is one YAML document and the line where it starts in its file.
type document struct {
	text []byte
	line int
}

// parseFile reads the objects of a manifest file, with the lines they start at. Flux's reader stops at
// the first bad document; here every one is reported.
func parseFile(data []byte, l limits) (answer response) {
	documents, err := split(data)
	if err != nil {
		answer.Errors = append(answer.Errors, badYAML(err, 1))
	}
	for i, d := range documents {
		if err := guardYAML(d.text); err != nil {
			answer.Errors = append(answer.Errors, badYAML(err, d.line))
			continue
		}
		objects, err := decode(d.text)
		if err != nil {
			p := badYAML(err, d.line)
			if p.Code == "not_an_object" {
				p.Line = d.first()
			}
			answer.Errors = append(answer.Errors, p)
			continue
		}
		answer.add(d, i, objects)
		if len(answer.Objects) > l.objects {
			return failure("too_big", "parse", fmt.Sprintf("the file has more than %d objects", l.objects))
		}
	}
	return answer
}

func (r *response) add(d document, index int, objects []*unstructured.Unstructured) {
	var lines []int
	if len(objects) > 0 {
		lines = itemLines(d)
	}
	for i, object := range objects {
		line := d.first()
		if i < len(lines) {
			line = lines[i]
		}
		if tooDeep(object.Object, maxDepth) {
			message := fmt.Sprintf("the object nests deeper than %d levels", maxDepth)
			r.Errors = append(r.Errors, problem{Code: "too_deep", Stage: "parse", Message: message, Line: line})
		} else if dropped(object) == "" {
			r.Objects = append(r.Objects, parsed{object.Object, index, line})
		}
	}
}

// split takes a file apart at the same lines as Kubernetes' own reader.
func split(data []byte) (documents []document, err error) {
	current := document{line: 1}
	for i, line := range bytes.SplitAfter(data, []byte("\n")) {
		if after, isSeparator := bytes.CutPrefix(line, []byte("---")); isSeparator {
			if rest := strings.TrimSpace(string(after)); rest != "" && rest[0] != '#' {
				return documents, fmt.Errorf("yaml: line %d: invalid document separator: %s", i+1, rest)
			}
			if len(current.text) > 0 {
				documents = append(documents, current)
				current = document{line: i + 2}
				continue
			}
		}
		if len(current.text) == 0 {
			current.line = i + 1
		}
		current.text = append(current.text, line...)
	}
	if len(current.text) > 0 {
		documents = append(documents, current)
	}
	return documents, nil
}

// first is the line of the document's first word that isn't a comment.
func (d document) first() int {
	for i, line := range bytes.Split(d.text, []byte("\n")) {
		trimmed := bytes.TrimSpace(line)
		if len(trimmed) > 0 && trimmed[0] != '#' && !bytes.HasPrefix(line, []byte("---")) {
			return d.line + i
		}
	}
	return d.line
}

// itemLines are the lines of a List's items; none for anything else.
func itemLines(d document) (lines []int) {
	if !bytes.Contains(d.text, []byte("items")) {
		return nil
	}
	var node yaml3.Node
	if yaml3.Unmarshal(d.text, &node) != nil || len(node.Content) == 0 {
		return nil
	}
	fields := node.Content[0].Content
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i].Value == "items" && fields[i+1].Kind == yaml3.SequenceNode {
			for _, item := range fields[i+1].Content {
				lines = append(lines, d.line+item.Line-1)
			}
		}
	}
	return lines
}

var lineInText = regexp.MustCompile(`(?m)\bline (\d+)(:|$)`)

// badYAML describes a document that cannot be read; the parser counts lines from its start.
func badYAML(err error, start int) problem {
	p := problem{Code: "yaml", Stage: "parse", Line: start}
	if strings.Contains(err.Error(), "Object 'Kind' is missing") {
		p.Code = "not_an_object"
	}
	if first := lineInText.FindStringSubmatch(err.Error()); first != nil {
		p.Line = inFile(first[1], start)
	}
	p.Message = lineInText.ReplaceAllStringFunc(err.Error(), func(found string) string {
		parts := lineInText.FindStringSubmatch(found)
		return fmt.Sprintf("line %d%s", inFile(parts[1], start), parts[2])
	})
	return p
}

func inFile(line string, start int) int {
	inDocument, _ := strconv.Atoi(line)
	return start + inDocument - 1
}
