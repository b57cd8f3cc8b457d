// hold runs a program in network, mount and process namespaces of its own, and removes the cgroups that were made for it.
//
// The first process of a process namespace takes all others along when it ends: containers, their shims, servers. With the
// last of them go the mounts and the network devices. What stays are cgroups, which belong to the machine.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// firstProcess is the command that becomes the first process of the namespace.
const firstProcess = "first-process"

// cgroups is where hierarchies of cgroups are mounted: each in a folder with version 1, one with version 2.
const cgroups = "/sys/fs/cgroup"

// emptied is how long the kernel may take until a cgroup of processes that ended can be removed.
const emptied = 10 * time.Second

// runHold is `hold PREFIX PROGRAM ARGUMENTS`. The cgroups of the program are named PREFIX and the id of this process, and the
// program finds that name in CGROUP. What killed holders of the same prefix left is removed first. The exit code is the program's.
func runHold() int {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: hold PREFIX PROGRAM ARGUMENTS")
		return 2
	}
	prefix := os.Args[1]
	removeLeft(prefix)
	name := prefix + strconv.Itoa(os.Getpid())
	self, err := os.Executable()
	if err != nil {
		return failed(err)
	}
	// The parent-death signal is sent when the thread that started the child ends, not the process.
	runtime.LockOSThread()
	child := exec.Command(self, append([]string{firstProcess}, os.Args[2:]...)...)
	child.Env = append(os.Environ(), "CGROUP="+name)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := child.Start(); err != nil {
		return failed(err)
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		child.Process.Kill()
	}()
	// An interrupt from a terminal reaches the program too, which may print what it has to say.
	signal.Ignore(syscall.SIGINT)
	child.Wait()
	if err := removeCgroups(name); err != nil {
		fmt.Fprintln(os.Stderr, "hold:", err)
	}
	return exitCode(child.ProcessState)
}

// runFirst starts the program, and waits for it and for every process that was left to it.
func runFirst() int {
	// Nothing that is mounted here is seen outside. /proc is that of the new namespace.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return failed(fmt.Errorf("making mounts private: %w", err))
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return failed(fmt.Errorf("mounting /proc: %w", err))
	}
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return failed(err)
	}
	path, err := exec.LookPath(os.Args[1])
	if err != nil {
		return failed(err)
	}
	program, err := os.StartProcess(path, os.Args[1:], &os.ProcAttr{
		Env:   os.Environ(),
		Files: []*os.File{nothing, os.Stdout, os.Stderr},
	})
	if err != nil {
		return failed(err)
	}
	for {
		var status syscall.WaitStatus
		id, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return failed(err)
		case id == program.Pid && status.Signaled():
			return 128 + int(status.Signal())
		case id == program.Pid:
			return status.ExitStatus()
		}
	}
}

// removeLeft removes cgroups of holders that do not run any more.
func removeLeft(prefix string) {
	left := map[string]bool{}
	for _, pattern := range []string{cgroups + "/" + prefix + "*", cgroups + "/*/" + prefix + "*"} {
		found, _ := filepath.Glob(pattern)
		for _, path := range found {
			left[filepath.Base(path)] = true
		}
	}
	for name := range left {
		id, err := strconv.Atoi(strings.TrimPrefix(name, prefix))
		if err != nil || syscall.Kill(id, 0) == nil {
			continue
		}
		if err := removeCgroups(name); err != nil {
			fmt.Fprintln(os.Stderr, "hold:", err)
		}
	}
}

// removeCgroups removes the cgroups of a name, with those in them, in each hierarchy.
func removeCgroups(name string) error {
	end := time.Now().Add(emptied)
	for {
		err := errors.Join(removeTree(cgroups+"/"+name), removeInHierarchies(name))
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func removeInHierarchies(name string) error {
	found, err := filepath.Glob(cgroups + "/*/" + name)
	if err != nil {
		return err
	}
	for _, path := range found {
		err = errors.Join(err, removeTree(path))
	}
	return err
}

// removeTree removes a cgroup after those in it. The files of a cgroup cannot be removed, and need not be.
func removeTree(root string) error {
	var folders []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return nil
	})
	for at := len(folders) - 1; at >= 0; at-- {
		if gone := syscall.Rmdir(folders[at]); gone != nil && gone != syscall.ENOENT {
			err = errors.Join(err, fmt.Errorf("%s: %w", folders[at], gone))
		}
	}
	return err
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "hold:", err)
	return 127
}

func exitCode(state *os.ProcessState) int {
	if code := state.ExitCode(); code >= 0 {
		return code
	}
	return 128 + int(state.Sys().(syscall.WaitStatus).Signal())
}
