package main

import (
	"errors"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/resource"
)

// byText maps what the libraries say to our codes; the first that matches counts.
var byText = []struct{ code, text string }{
	{"remote_refused", errRefused.Error()},
	{"remote_refused", "no 'git' program on path"},
	{"outside_root", "fs-security-constraint"},
	{"panic", "recovered from"},
	{"cycle", "cycle detected"},
	{"yaml", "MalformedYAMLError"},
	{"yaml", "failed to decode Kubernetes YAML"},
	{"yaml", "error converting YAML to JSON"},
	{"yaml", "invalid Kustomization"},
	{"missing_file", "no such file or directory"},
	{"missing_file", "unable to find one of 'kustomization.yaml'"},
	{"missing_file", "doesn't exist"},
	{"missing_file", "must build at directory"},
}

func (b *build) classify(err error) string {
	if b.files.refused != nil {
		switch {
		case errors.Is(b.files.refused.err, errTooBig):
			return "file_too_big"
		case errors.Is(b.files.refused.err, errIrregular):
			return "irregular"
		}
		return "yaml"
	}
	if fromYAML.MatchString(err.Error()) {
		return "yaml"
	}
	for _, known := range byText {
		if strings.Contains(err.Error(), known.text) {
			return known.code
		}
	}
	return "build"
}

// problem describes a build that failed, with the file and line when the text gives them away.
func (b *build) problem(stage string, err error) problem {
	text := relativeText(err.Error(), b.root)
	p := problem{Code: b.classify(err), Stage: stage, Message: text}
	if b.files.refused != nil {
		p.File, _ = relativeTo(b.root, b.files.refused.path)
		return p
	}
	p.File = b.blame(err.Error())
	if at := lineNumber.FindStringSubmatch(text); at != nil && p.Code == "yaml" {
		p.Line, _ = strconv.Atoi(at[1])
	}
	return p
}

var (
	fromYAML   = regexp.MustCompile(`(^|[\s:'"(])yaml: `) // not the end of a file's name
	lineNumber = regexp.MustCompile(`\bline (\d+)`)
	pathInText = regexp.MustCompile(`[^\s'":;,()\[\]]+`)
)

// blame finds the file an error is about: the last one in the text that the build looked at.
func (b *build) blame(text string) (file string) {
	for _, word := range pathInText.FindAllString(text, -1) {
		word = strings.TrimSuffix(word, ".")
		if filepath.Ext(word) == "" && !strings.Contains(word, "/") {
			continue
		}
		if found := b.looked(word); found != "" {
			file = found
		}
	}
	return file
}

// looked resolves a word of an error text; kustomize names files relative to whichever directory it
// is in, so a relative one is matched against the files in the order they were read, latest first.
func (b *build) looked(word string) string {
	if filepath.IsAbs(word) {
		word = filepath.Clean(word)
		relative, inside := relativeTo(b.root, word)
		if s, known := b.files.seen[word]; inside && known && s&(sawDirectory|sawEntries) == 0 {
			return relative
		}
		return ""
	}
	suffix := "/" + strings.TrimPrefix(filepath.Clean(word), "../")
	for i := len(b.files.read) - 1; i >= 0; i-- {
		if strings.HasSuffix(b.files.read[i], suffix) {
			relative, _ := relativeTo(b.root, b.files.read[i])
			return relative
		}
	}
	return ""
}

// relativeText takes the place where the tree happens to lie out of a message.
func relativeText(text, root string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, root+"/", ""), root, ".")
}

func subjectOf(r *resource.Resource) *subject {
	gvk := r.GetGvk()
	return &subject{gvk.Group, gvk.Version, gvk.Kind, r.GetNamespace(), r.GetName()}
}
