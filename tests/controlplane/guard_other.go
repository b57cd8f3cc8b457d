//go:build !linux

// Elsewhere nothing ends the guarded program when the guard itself is killed with SIGKILL.
package main

import "syscall"

func dieWithGuard() *syscall.SysProcAttr {
	return nil
}
