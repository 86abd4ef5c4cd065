package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

var (
	errTooBig    = errors.New("file is larger than the limit")
	errIrregular = errors.New("not a regular file")
)

// sight is what was learnt about a path; a path collects several.
type sight uint8

const (
	sawContent sight = 1 << iota
	sawEntries
	sawDirectory
	sawFile
	sawNothing
)

// recorder is a read-only file system that remembers every path it was asked about. It lies below the
// in-memory overlay and above Flux's secure file system, so it sees the real look-ups and only these.
type recorder struct {
	inner    filesys.FileSystem
	root     string
	maxBytes int64
	seen     map[string]sight
	links    map[string]string
	scanned  map[string]bool
	read     []string // in order
	refused  *refusal
}

// refusal is the first file that the recorder would not read. kustomize wraps errors into text, so
// the reason is kept here.
type refusal struct {
	path string
	err  error
}

func newRecorder(inner filesys.FileSystem, root string, maxBytes int64) *recorder {
	return &recorder{
		inner: inner, root: root, maxBytes: maxBytes,
		seen: map[string]sight{}, links: map[string]string{}, scanned: map[string]bool{},
	}
}

func (r *recorder) note(path string, s sight) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return
	}
	r.seen[absolute] |= s
	r.scanLinks(absolute)
}

// scanLinks records the symbolic links on the way to a path: resolving them bypasses the file system.
func (r *recorder) scanLinks(path string) {
	if r.scanned[path] || !strings.HasPrefix(path, r.root+"/") {
		return
	}
	r.scanned[path] = true
	r.scanLinks(filepath.Dir(path))
	target, err := os.Readlink(path)
	if err != nil {
		return
	}
	r.links[path] = target
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(path), target)
	}
	r.scanLinks(target)
}

// what finds out what a path is, without recording.
func (r *recorder) what(path string) sight {
	switch {
	case r.inner.IsDir(path):
		return sawDirectory
	case r.inner.Exists(path):
		return sawFile
	}
	return sawNothing
}

func (r *recorder) refuse(path string, err error) error {
	if r.refused == nil {
		r.refused = &refusal{path, err}
	}
	return &os.PathError{Op: "read", Path: path, Err: err}
}

// admit refuses what must not even be opened: a pipe blocks for ever, a device never ends.
func (r *recorder) admit(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil || info.IsDir():
		return nil
	case !info.Mode().IsRegular():
		return r.refuse(path, errIrregular)
	case info.Size() > r.maxBytes:
		return r.refuse(path, fmt.Errorf("%w of %d MiB", errTooBig, r.maxBytes>>20))
	}
	return nil
}

func (r *recorder) ReadFile(path string) ([]byte, error) {
	if err := r.admit(path); err != nil {
		r.note(path, sawFile)
		return nil, err
	}
	data, err := r.inner.ReadFile(path)
	if err != nil {
		r.note(path, r.what(path))
		return nil, err
	}
	r.note(path, sawContent)
	r.read = append(r.read, path)
	if err := guardYAML(data); err != nil {
		return nil, r.refuse(path, err)
	}
	return data, nil
}

func (r *recorder) Open(path string) (filesys.File, error) {
	if err := r.admit(path); err != nil {
		r.note(path, sawFile)
		return nil, err
	}
	file, err := r.inner.Open(path)
	if err != nil {
		r.note(path, r.what(path))
		return nil, err
	}
	r.note(path, sawContent)
	return file, nil
}

func (r *recorder) IsDir(path string) bool {
	s := r.what(path)
	r.note(path, s)
	return s == sawDirectory
}

func (r *recorder) Exists(path string) bool {
	s := r.what(path)
	r.note(path, s)
	return s != sawNothing
}

func (r *recorder) ReadDir(path string) ([]string, error) {
	entries, err := r.inner.ReadDir(path)
	if err != nil {
		r.note(path, r.what(path))
		return nil, err
	}
	r.note(path, sawEntries)
	return entries, nil
}

func (r *recorder) Glob(pattern string) ([]string, error) {
	r.note(filepath.Dir(pattern), sawEntries)
	return r.inner.Glob(pattern)
}

func (r *recorder) CleanedAbs(path string) (filesys.ConfirmedDir, string, error) {
	directory, file, err := r.inner.CleanedAbs(path)
	if err != nil {
		r.note(path, r.what(path))
		return directory, file, err
	}
	s := sawFile
	if file == "" {
		s = sawDirectory
	}
	r.note(path, s)
	r.note(filepath.Join(directory.String(), file), s)
	return directory, file, nil
}

func (r *recorder) Walk(path string, visit filepath.WalkFunc) error {
	return r.inner.Walk(path, func(path string, info os.FileInfo, err error) error {
		answer := visit(path, info, err)
		switch {
		case err != nil || info == nil:
			r.note(path, sawNothing)
		case info.IsDir() && answer == nil:
			r.note(path, sawEntries)
		case info.IsDir():
			r.note(path, sawDirectory)
		default:
			r.note(path, sawFile)
		}
		return answer
	})
}

func (r *recorder) Create(path string) (filesys.File, error) { return nil, readOnly("create", path) }
func (r *recorder) Mkdir(path string) error                  { return readOnly("mkdir", path) }
func (r *recorder) MkdirAll(path string) error               { return readOnly("mkdir", path) }
func (r *recorder) RemoveAll(path string) error              { return readOnly("remove", path) }
func (r *recorder) WriteFile(path string, _ []byte) error    { return readOnly("write", path) }

func readOnly(op, path string) error {
	return &os.PathError{Op: op, Path: path, Err: os.ErrPermission}
}
