// On Linux the kernel kills the guarded program when the guard itself is killed.
package main

import "syscall"

func dieWithGuard() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
