// One binary that is a whole Kubernetes control plane for tests: etcd, kube-apiserver, kube-controller-manager,
// kubectl and helm.
//
// What it becomes is the name it is called by or, failing that, its first argument. Everything but kubectl and helm ends
// when its standard input closes: a server never outlives the test that holds the other end of the pipe, however that
// test dies.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata"

	_ "k8s.io/client-go/plugin/pkg/client/auth"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

// A command takes the place of main; os.Args is already its own command line.
type command func() int

var commands = map[string]command{
	"etcd":                    runEtcd,
	"kube-apiserver":          runAPIServer,
	"kube-controller-manager": runControllerManager,
	"kubectl":                 runKubectl,
	"helm":                    runHelm,
	"guard":                   runGuard,
}

func main() {
	os.Exit(dispatch())
}

func dispatch() int {
	if run, named := commands[filepath.Base(os.Args[0])]; named {
		return run()
	}
	if len(os.Args) > 1 {
		if run, named := commands[os.Args[1]]; named {
			os.Args = os.Args[1:]
			return run()
		}
	}
	fmt.Fprintln(os.Stderr, "usage: controlplane etcd|kube-apiserver|kube-controller-manager|kubectl|helm|guard ARGUMENTS")
	return 2
}
