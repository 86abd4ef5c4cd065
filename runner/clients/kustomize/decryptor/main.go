// Command kustodian-decryptor opens what SOPS has sealed. It alone is ever given keys.
//
// It reads requests as JSON lines from standard input, one at a time, and answers each on standard
// output. It keeps nothing between two requests, writes no file, and dies with its parent.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/getsops/sops/v3/logging"
)

// sourceHash is set by the linker; it says which sources this program was made of.
var sourceHash = "unknown"

// request is one line of standard input: some sealed texts, and all that may open them.
type request struct {
	ID        json.RawMessage   `json:"id"`
	TimeoutMs int64             `json:"timeoutMs"`
	Secret    string            `json:"secret"` // namespace/name, for messages
	Keys      map[string][]byte `json:"keys"`   // the data of that Secret
	Given     map[string][]byte `json:"given"`  // keys of the run itself, under names of the same kind
	Items     []item            `json:"items"`
}

type item struct {
	Data   []byte `json:"data"`
	Input  string `json:"input"`
	Output string `json:"output"`
}

// response is one line of standard output; it has as many results as the request has items.
type response struct {
	ID      json.RawMessage `json:"id"`
	Error   string          `json:"error,omitempty"`
	Results []result        `json:"results,omitempty"`
}

type result struct {
	Data  []byte `json:"data,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	memory := flag.Uint64("memory-mib", 0, "memory of the process; 0 is unlimited")
	answer := flag.Int("answer-mib", 256, "size of an answer")
	file := flag.Int("file-mib", 16, "size of one sealed text")
	objects := flag.Int("objects", 50_000, "sealed texts of a request")
	hash := flag.Bool("source-hash", false, "print the hash of the sources and exit")
	flag.Parse()
	if *hash {
		fmt.Println(sourceHash)
		return
	}
	output := reserveStdout()
	if err := isolate(*memory << 20); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	logging.SetLevel(0) // the libraries have nothing to tell that is not in their errors
	limits := limits{*answer << 20, *file << 20, *objects}
	for line := range readLines(os.Stdin) {
		limits.answer(line, output)
	}
}

type limits struct {
	answerBytes int
	itemBytes   int
	items       int
}

// readLines reads ahead in the background: the end of the input means that the parent is gone.
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

func (l limits) answer(line []byte, output io.Writer) {
	var q request
	if err := json.Unmarshal(line, &q); err != nil {
		send(output, response{Error: "the request is not what was agreed on"}, l.answerBytes)
		return
	}
	if q.TimeoutMs > 0 {
		// What runs then cannot be interrupted. The parent sees the process end, and waits no longer.
		timer := time.AfterFunc(time.Duration(q.TimeoutMs)*time.Millisecond, func() { os.Exit(124) })
		defer timer.Stop()
	}
	send(output, l.open(&q), l.answerBytes)
}

func (l limits) open(q *request) (r response) {
	r.ID = q.ID
	defer func() {
		if recover() != nil { // what it says may hold what was to be opened
			r = response{ID: q.ID, Error: "the decryptor has failed"}
		}
	}()
	if len(q.Items) > l.items {
		r.Error = fmt.Sprintf("%d sealed texts are more than the limit of %d", len(q.Items), l.items)
		return r
	}
	held, err := importKeys(q)
	if err != nil {
		r.Error = held.redact(err.Error())
		return r
	}
	service := held.service()
	for _, each := range q.Items {
		var opened result
		if len(each.Data) > l.itemBytes {
			opened.Error = fmt.Sprintf("cannot decrypt data with size (%d bytes) exceeding limit (%d)", len(each.Data), l.itemBytes)
		} else if data, err := open(service, each); err != nil {
			opened.Error = held.redact(err.Error())
		} else {
			opened.Data = data
		}
		r.Results = append(r.Results, opened)
	}
	return r
}

func send(output io.Writer, r response, most int) {
	data, err := json.Marshal(&r)
	if err == nil && len(data) > most {
		data, err = json.Marshal(&response{ID: r.ID, Error: "what was decrypted is larger than the limit"})
	}
	if err == nil {
		_, err = output.Write(append(data, '\n'))
	}
	if err != nil && !errors.Is(err, os.ErrClosed) {
		os.Exit(0) // nobody reads any more
	}
}
