package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// limits hold for the life of the process; the parent chooses them.
type limits struct {
	memoryBytes uint64
	answerBytes int
	fileBytes   int64
	objects     int
	printHash   bool
}

func parseFlags() limits {
	memory := flag.Uint64("memory-mib", 0, "memory of the process; 0 is unlimited")
	answer := flag.Int("answer-mib", 256, "size of an answer")
	file := flag.Int64("file-mib", 16, "size of a file that is read")
	objects := flag.Int("objects", 50_000, "objects of a build or a file")
	hash := flag.Bool("source-hash", false, "print the hash of the sources and exit")
	flag.Parse()
	return limits{*memory << 20, *answer << 20, *file << 20, *objects, *hash}
}

// reserveStdout keeps the real standard output for the protocol: what a library prints goes to
// standard error.
func reserveStdout() *os.File {
	fd, err := unix.Dup(1)
	if err == nil {
		unix.CloseOnExec(fd)
		err = unix.Dup2(2, 1)
	}
	if err != nil {
		os.Exit(2)
	}
	return os.NewFile(uintptr(fd), "protocol")
}

// pollableStdin is standard input that Go waits for as it waits for a socket. A read that blocks would keep
// its processor until another thread takes it away, and that with every request.
func pollableStdin() *os.File {
	_ = unix.SetNonblock(0, true) // without it the read blocks, which is slower and as good
	return os.NewFile(0, "requests")
}

func isolate(l limits) error {
	if l.memoryBytes > 0 {
		bytes := l.memoryBytes + reserved()
		ceiling := unix.Rlimit{Cur: bytes, Max: bytes}
		if err := unix.Setrlimit(unix.RLIMIT_AS, &ceiling); err != nil {
			return err
		}
		debug.SetMemoryLimit(int64(l.memoryBytes / 4 * 3))
	}
	debug.SetMaxStack(256 << 20)
	collectRarely()
	http.DefaultTransport = gate{}
	outside.remember()
	outside.hide()
	go dieWithParent(os.Getppid())
	return nil
}

// reserved is the address space that Go's runtime has taken before it uses any of it: about a GiB,
// which counts for the operating system's limit but not for ours.
func reserved() uint64 {
	var pages uint64
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		_, _ = fmt.Sscan(string(text), &pages)
	}
	return pages * uint64(os.Getpagesize())
}

// dieWithParent catches what the end of standard input does not: another process that still holds
// the pipe. The kernel's own death signal would come when the *thread* that started us ends.
func dieWithParent(parent int) {
	for range time.Tick(time.Second) {
		if os.Getppid() != parent {
			os.Exit(0)
		}
	}
}

// environment is what the process was started with. No build sees anything of it but TMPDIR: kustomize takes
// the value of a variable that an env file only names from the environment.
type environment struct{ temporary string }

var outside environment

func (e *environment) remember() { e.temporary = os.Getenv("TMPDIR") }

func (e *environment) hide() {
	os.Clearenv()
	os.Setenv("PATH", "/nonexistent")
	if e.temporary != "" {
		os.Setenv("TMPDIR", e.temporary)
	}
}
