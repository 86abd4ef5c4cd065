package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

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

// isolate limits the memory, and sees to it that none of it ever is written to a disk or read by
// another process: no core dump, no debugger.
func isolate(memory uint64) error {
	if memory > 0 {
		bytes := memory + reserved()
		if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: bytes, Max: bytes}); err != nil {
			return err
		}
		debug.SetMemoryLimit(int64(memory / 4 * 3))
	}
	debug.SetMaxStack(256 << 20)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	if err := notDumpable(); err != nil {
		return err
	}
	go dieWithParent(os.Getppid())
	return nil
}

// reserved is the address space that Go's runtime has taken before it uses any of it.
func reserved() uint64 {
	var pages uint64
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		_, _ = fmt.Sscan(string(text), &pages)
	}
	return pages * uint64(os.Getpagesize())
}

func dieWithParent(parent int) {
	for range time.Tick(time.Second) {
		if os.Getppid() != parent {
			os.Exit(0)
		}
	}
}
