// One binary that is what a node needs of Kubernetes itself, and what holds the node: kubelet, kube-scheduler, kube-proxy,
// and `hold`, which gives a program namespaces of its own.
//
// What it becomes is its first argument. Everything ends when its standard input closes: nothing outlives the test that
// holds the other end of the pipe, however that test dies.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// A command takes the place of main; os.Args is already its own command line.
type command func() int

var commands = map[string]command{
	"kubelet":        runKubelet,
	"kube-scheduler": runScheduler,
	"kube-proxy":     runProxy,
	"hold":           runHold,
	firstProcess:     runFirst,
}

func main() {
	if len(os.Args) > 1 {
		if run, named := commands[os.Args[1]]; named {
			os.Args = os.Args[1:]
			os.Exit(run())
		}
	}
	fmt.Fprintln(os.Stderr, "usage: node kubelet|kube-scheduler|kube-proxy|hold ARGUMENTS")
	os.Exit(2)
}

func runKubelet() int {
	exitWithStdin()
	return cli.Run(kubelet.NewKubeletCommand(context.Background()))
}

func runScheduler() int {
	exitWithStdin()
	return cli.Run(scheduler.NewSchedulerCommand())
}

func runProxy() int {
	exitWithStdin()
	return cli.Run(proxy.NewProxyCommand())
}

// exitWithStdin ends the process at once when standard input closes.
func exitWithStdin() {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}
