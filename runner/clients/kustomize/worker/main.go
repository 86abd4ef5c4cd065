// Command kustodian-worker renders Flux Kustomizations with Flux's own libraries.
//
// It reads requests as JSON lines from standard input, one at a time, and answers each on standard
// output. It never writes to what it renders, and dies with its parent.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// fluxVersion is the Flux release whose libraries go.mod pins.
const fluxVersion = "2.9.5"

// sourceHash is set by the linker; it says which sources this program was made of.
var sourceHash = "unknown"

type versions struct {
	SourceHash string `json:"sourceHash"`
	Flux       string `json:"flux"`
	Kustomize  string `json:"kustomize"`
	Go         string `json:"go"`
}

func main() {
	if isGit() {
		if err := git(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	limits := parseFlags()
	if limits.printHash {
		fmt.Println(sourceHash)
		return
	}
	output := reserveStdout()
	if err := isolate(limits); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	s := &server{output: bufio.NewWriterSize(output, 1<<20), limits: limits}
	for line := range readLines(pollableStdin()) {
		s.answer(line)
	}
}

// readLines reads ahead in the background: the end of the input means that the parent is gone, and
// then nothing that still runs is of use to anybody.
func readLines(input io.Reader) <-chan []byte {
	lines := make(chan []byte)
	go func() {
		reader := bufio.NewReaderSize(input, 1<<20)
		for {
			line, err := reader.ReadBytes('\n')
			if err != nil {
				os.Exit(0)
			}
			lines <- line
		}
	}()
	return lines
}

type server struct {
	output *bufio.Writer
	limits limits
	once   *sync.Once // one answer per request, whoever is first
}

func (s *server) answer(line []byte) {
	var q request
	if err := json.Unmarshal(line, &q); err != nil {
		s.once = new(sync.Once)
		s.send(nil, failure("internal", "input", "request: "+err.Error()))
		return
	}
	once := new(sync.Once)
	s.once = once
	if q.TimeoutMs > 0 {
		after := time.Duration(q.TimeoutMs) * time.Millisecond
		timer := time.AfterFunc(after, func() { s.giveUp(once, q.ID, after) })
		defer timer.Stop()
	}
	s.send(q.ID, s.dispatch(&q))
}

// giveUp answers in place of a build that cannot be interrupted, and ends the process.
func (s *server) giveUp(once *sync.Once, id json.RawMessage, after time.Duration) {
	once.Do(func() {
		r := failure("timeout", "build", fmt.Sprintf("timed out after %s", after))
		r.ID = id
		s.write(&r)
		os.Exit(124)
	})
}

func (s *server) send(id json.RawMessage, r response) {
	s.once.Do(func() {
		r.ID = id
		r.OK = len(r.Errors) == 0
		s.write(&r)
	})
}

func (s *server) write(r *response) {
	data, err := json.Marshal(r)
	if err != nil {
		f := failure("internal", "encode", err.Error())
		f.ID = r.ID
		data, _ = json.Marshal(&f)
	}
	if len(data) > s.limits.answerBytes {
		message := fmt.Sprintf("the answer has %d bytes, the limit is %d", len(data), s.limits.answerBytes)
		f := failure("too_big", "encode", message)
		f.ID = r.ID
		data, _ = json.Marshal(&f)
	}
	_, err = s.output.Write(append(data, '\n'))
	if err = errors.Join(err, s.output.Flush()); err != nil {
		os.Exit(0) // nobody reads any more
	}
}

func (s *server) dispatch(q *request) (r response) {
	defer func() {
		if p := recover(); p != nil {
			r = failure("panic", "", fmt.Sprintf("%s: recovered from panic: %v", q.Op, p))
		}
	}()
	switch q.Op {
	case "build":
		return (&build{request: q, limits: s.limits}).run()
	case "parse":
		return parseFile(q.Data, s.limits)
	case "artifact":
		return listArtifact(q.Root, q.Ignore)
	case "encode":
		return encodeObjects(q.Objects)
	case "newest":
		return newestTag(q)
	case "ping", "version":
		return response{Version: &versions{sourceHash, fluxVersion, kustomizeVersion(), runtime.Version()}}
	}
	return failure("internal", "input", fmt.Sprintf("unknown op %q", q.Op))
}

func kustomizeVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, module := range info.Deps {
		if module.Path == "sigs.k8s.io/kustomize/api" {
			if module.Replace != nil {
				module = module.Replace
			}
			return module.Version
		}
	}
	return ""
}
