package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

var errRefused = errors.New("remote resource refused")

// remote is what the parent has fetched of other places for a build: nothing is ever fetched here.
type remote struct {
	Scratch string          `json:"scratch"` // what kustomize clones goes below it, for as long as a build
	Files   map[string]page `json:"files"`   // by URL
	Trees   []tree          `json:"trees"`
}

// page is what a server has answered for a URL; there is a file when it was a success.
type page struct {
	Status int    `json:"status"`
	File   string `json:"file"`
}

// tree is the directory with the files of a repository at the commit that a ref stands for.
type tree struct {
	URL       string `json:"url"`
	Ref       string `json:"ref"`
	Directory string `json:"directory"`
}

// asked is a remote resource that a build asked for: a URL, or with git a ref of a repository.
type asked struct {
	URL string `json:"url"`
	Ref string `json:"ref,omitempty"`
	Git bool   `json:"git,omitempty"`
}

// elsewhere gives one build what is remote, and takes down what it asks for.
type elsewhere struct {
	remote    *remote // nil: nothing
	directory string  // of this build, resolved; "" without remote
	used      []asked
	wanted    []asked
	clones    []clone
	last      string // the file that was given last
	err       error  // a file that must not be parsed
}

// serving is that of the build that runs now; builds never overlap.
var serving = &elsewhere{}

// serve prepares for a build: kustomize makes its clones below TMPDIR, with the git that PATH names.
func serve(r *remote) (*elsewhere, error) {
	e := &elsewhere{remote: r}
	serving = e
	if r == nil {
		return e, nil
	}
	made, err := os.MkdirTemp(r.Scratch, "remote-")
	if err != nil {
		return e, err
	}
	if e.directory, err = filepath.EvalSymlinks(made); err != nil {
		return e, err
	}
	if err := installGit(e.programs(), r.Trees); err != nil {
		return e, err
	}
	os.Setenv("PATH", e.programs())
	os.Setenv("TMPDIR", e.directory)
	return e, nil
}

// done takes away everything that was made for the build.
func (e *elsewhere) done() {
	serving = &elsewhere{}
	outside.hide()
	if e.directory != "" {
		_ = os.RemoveAll(e.directory)
	}
}

func (e *elsewhere) programs() string { return filepath.Join(e.directory, "bin") }

// gate stands where the network would be: kustomize fetches URLs without asking its file system.
type gate struct{}

func (gate) RoundTrip(q *http.Request) (*http.Response, error) {
	return serving.answer(q)
}

func (e *elsewhere) answer(q *http.Request) (*http.Response, error) {
	url := q.URL.String()
	found, known := page{}, false
	if e.remote != nil {
		found, known = e.remote.Files[url]
	}
	if !known {
		e.wanted = append(e.wanted, asked{URL: url})
		return nil, errRefused
	}
	e.used = append(e.used, asked{URL: url})
	e.last = url
	var data []byte
	if found.File != "" {
		var err error
		if data, err = os.ReadFile(found.File); err != nil {
			return nil, err
		}
		if err = guardYAML(data); err != nil {
			e.err = err
			return nil, fmt.Errorf("%s: %w", url, err)
		}
	}
	return &http.Response{
		StatusCode: found.Status, Status: http.StatusText(found.Status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: q,
		Body: io.NopCloser(bytes.NewReader(data)), ContentLength: int64(len(data)),
	}, nil
}

// collect reads what the git of this build took down.
func (e *elsewhere) collect() {
	if e.directory == "" {
		return
	}
	text, err := os.ReadFile(filepath.Join(e.programs(), clonesFile))
	if err != nil {
		return // nothing was cloned
	}
	for line := range bytes.Lines(text) {
		var c clone
		if json.Unmarshal(line, &c) != nil {
			continue
		}
		e.clones = append(e.clones, c)
		if c.Found {
			e.used = append(e.used, c.asked)
		} else {
			e.wanted = append(e.wanted, c.asked)
		}
	}
	slices.SortStableFunc(e.clones, func(a, b clone) int { return len(b.Directory) - len(a.Directory) })
}

// lacks says whether an entry names a repository, and a ref of it, that was asked for in vain.
func (e *elsewhere) lacks(entry string) bool {
	for _, each := range e.wanted {
		_, repository, _ := strings.Cut(each.URL, "://")
		if repository == "" {
			repository = each.URL
		}
		if strings.Contains(entry, repository) && (each.Ref == "HEAD" || strings.Contains(entry, each.Ref)) {
			return true
		}
	}
	return false
}

// text has the URLs of repositories in place of the directories that stood in for them.
func (e *elsewhere) text(text string) string {
	for _, c := range e.clones {
		text = strings.ReplaceAll(strings.ReplaceAll(text, c.Directory+"/", c.URL+"//"), c.Directory, c.URL)
	}
	if e.directory != "" {
		text = strings.ReplaceAll(text, e.programs()+"/", "")
		text = strings.ReplaceAll(text, e.directory+"/", "")
	}
	return text
}
