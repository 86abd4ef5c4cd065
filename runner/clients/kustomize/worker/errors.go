package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	fluxkustomize "github.com/fluxcd/pkg/kustomize"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/resource"
	kustypes "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// byText maps what the libraries say to our codes; the first that matches counts.
var byText = []struct{ code, text string }{
	{"remote_refused", errRefused.Error()},
	{"remote_refused", "no 'git' program on path"},
	{"remote", "HTTP Error: status code"},
	{"outside_root", "fs-security-constraint"},
	{"panic", "recovered from"},
	{"cycle", "cycle detected"},
	{"build", "may not add resource with an already registered id"},
	{"yaml", "MalformedYAMLError"},
	{"yaml", "failed to decode Kubernetes YAML"},
	{"yaml", "error converting YAML to JSON"},
	{"yaml", "error unmarshaling JSON"},
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
	if b.remote.err != nil {
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
	if strings.Contains(err.Error(), "URL is a git repository") && len(b.remote.clones) == 0 {
		return "remote" // it is none of a base, but of a file
	}
	return "build"
}

// problem describes a build that failed, with the file and line when the text gives them away.
func (b *build) problem(stage string, err error) problem {
	text := addresses.ReplaceAllString(b.remote.text(relativeText(err.Error(), b.root)), "")
	p := problem{Code: b.classify(err), Stage: stage, Message: text}
	if b.files.refused != nil {
		p.File, _ = relativeTo(b.root, b.files.refused.path)
		return p
	}
	if p.File = b.blame(err.Error()); p.File == "" {
		p.File = b.blameKfile(err.Error())
	}
	if at := lineNumber.FindStringSubmatch(text); at != nil && p.Code == "yaml" && p.File != "" {
		p.Line, _ = strconv.Atoi(at[1])
	}
	b.locate(&p)
	if p.Line == 0 && len(b.remote.used)+len(b.remote.wanted) > 0 || p.Code == "remote_refused" {
		p.Entries = b.entries(p.Code, text)
	}
	return p
}

// entries are what kustomization files list on the way to something remote, the last one being that itself.
func (b *build) entries(code, text string) (entries []string) {
	for _, found := range listedAs.FindAllStringSubmatch(text, -1) {
		entries = append(entries, found[1])
	}
	component := b.remoteComponent()
	switch {
	case code == "remote":
		entries = append(entries, b.remote.last)
	case code != "remote_refused":
	case component != "" && strings.Contains(text, "loader.New"): // kustomize does not tell its name
		entries = append(entries, component)
	case len(b.remote.wanted) > 0 && !b.remote.wanted[0].Git:
		entries = append(entries, b.remote.wanted[0].URL)
	}
	return entries
}

// remoteComponent is the one that was asked for in vain; the first one, where nothing is ever given.
func (b *build) remoteComponent() (first string) {
	components, _, _ := unstructured.NestedStringSlice(b.kustomization.Object, "spec", "components")
	for _, path := range slices.Backward(b.files.read) {
		var kustomization kustypes.Kustomization
		if !isKfile(path) {
			continue
		}
		if data, err := os.ReadFile(path); err == nil && yaml.Unmarshal(data, &kustomization) == nil {
			components = append(kustomization.Components, components...)
		}
	}
	for _, each := range components {
		if fluxkustomize.IsLocalRelativePath(each) && !strings.HasPrefix(each, "file://") {
			continue
		}
		if b.remote.lacks(each) {
			return each
		}
		if first == "" {
			first = each
		}
	}
	return first
}

// locate finds the line in the file as it is: kustomize counts from the start of a document, and its
// parser is off by one or more when a bracket stays open.
func (b *build) locate(p *problem) {
	extension := filepath.Ext(p.File)
	if p.Code != "yaml" || extension != ".yaml" && extension != ".yml" {
		return
	}
	data, err := b.files.ReadFile(filepath.Join(b.root, p.File))
	if err != nil {
		return
	}
	errs := parseFile(data, b.limits).Errors
	if len(errs) == 0 || !strings.Contains(errs[0].Message, "yaml: line ") && isKfile(p.File) {
		return // it can be read, so its fields are wrong; a kustomization file needs no kind
	}
	p.Line = errs[0].Line
	p.Message = lineNumber.ReplaceAllString(p.Message, fmt.Sprintf("line %d", p.Line))
}

var (
	fromYAML   = regexp.MustCompile(`(^|[\s:'"(])yaml: `) // not the end of a file's name
	lineNumber = regexp.MustCompile(`\bline (\d+)`)
	addresses  = regexp.MustCompile(` &\{0x[0-9a-f]+[^}]*\}`) // kustomize prints pointers, other ones every time
	listedAs   = regexp.MustCompile(`(?:from|new root) '([^']+)'`)
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

var (
	aboutKfile  = regexp.MustCompile(`accumulating resources|[Ii]nvalid Kustomization|YAML to JSON|unmarshaling JSON|Found multiple`)
	directories = regexp.MustCompile(`(?:path|under:) '?(/[^'\s]+)`)
)

// blameKfile is for errors that name no file but can only be about a kustomization file: the one in the
// last directory of the text, else the first.
func (b *build) blameKfile(text string) (file string) {
	if !aboutKfile.MatchString(text) {
		return ""
	}
	candidates := []string{b.directory}
	for _, found := range directories.FindAllStringSubmatch(text, -1) {
		candidates = append(candidates, found[1])
	}
	for _, directory := range candidates {
		for _, path := range b.files.read {
			if filepath.Dir(path) == filepath.Clean(directory) && isKfile(path) {
				file, _ = relativeTo(b.root, path)
				break
			}
		}
	}
	return file
}

func isKfile(path string) bool {
	return slices.Contains(konfig.RecognizedKustomizationFileNames(), filepath.Base(path))
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
