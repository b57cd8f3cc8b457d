// guard runs another program and ends it when standard input closes: for programs that do not do so themselves.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// guardGrace is how long the program may take to end after SIGTERM.
const guardGrace = 5 * time.Second

// runGuard is `guard PROGRAM ARGUMENTS`; its exit code is the program's. Killing the guard kills the program.
func runGuard() int {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: guard PROGRAM ARGUMENTS")
		return 2
	}
	// The parent-death signal is sent when the thread that started the child ends, not the process.
	runtime.LockOSThread()
	child := exec.Command(os.Args[1], os.Args[2:]...)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = dieWithGuard()
	if err := child.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
		return 127
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		child.Process.Signal(syscall.SIGTERM)
		time.Sleep(guardGrace)
		child.Process.Kill()
	}()
	err := child.Wait()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		fmt.Fprintln(os.Stderr, "guard:", err)
		return 126
	}
	if code := child.ProcessState.ExitCode(); code >= 0 {
		return code
	}
	return 128 + int(child.ProcessState.Sys().(syscall.WaitStatus).Signal())
}
