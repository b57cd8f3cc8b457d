// The three servers, each as its own main function runs it.
package main

import (
	"io"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func runEtcd() int {
	exitWithStdin()
	etcdmain.Main(os.Args)
	return 0
}

func runAPIServer() int {
	exitWithStdin()
	return cli.Run(apiserver.NewAPIServerCommand())
}

func runControllerManager() int {
	exitWithStdin()
	return cli.Run(controllermanager.NewControllerManagerCommand())
}

// exitWithStdin ends the process at once when standard input closes. Nothing is saved: what these servers hold is a test's.
func exitWithStdin() {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}
