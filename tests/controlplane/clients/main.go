// Clients as controllers are written with client-go: what they see of a kind is told as a line of JSON each.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// options says what a client is to look at.
type options struct {
	resource  schema.GroupVersionResource
	namespace string
	kind      string
	name      string
	replicas  int
}

// A client does its work until it is done or the context ends.
type client func(context.Context, *rest.Config, options) error

var clients = map[string]client{
	"informer": runInformer,
	"pages":    runPages,
	"expired":  runExpired,
	"scale":    runScale,
	"apply":    runApply,
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 2 || clients[os.Args[1]] == nil {
		return fmt.Errorf("usage: clients informer|pages|expired|scale|apply FLAGS")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "the kubeconfig of the server")
	var o options
	flags.StringVar(&o.resource.Group, "group", "", "the group of the kind")
	flags.StringVar(&o.resource.Version, "version", "", "the version of the kind")
	flags.StringVar(&o.resource.Resource, "resource", "", "the plural of the kind")
	flags.StringVar(&o.namespace, "namespace", "default", "the namespace to look at")
	flags.StringVar(&o.name, "name", "", "the object to scale or to apply")
	flags.StringVar(&o.kind, "kind", "", "its kind")
	flags.IntVar(&o.replicas, "replicas", 0, "how many replicas it is to have")
	if err := flags.Parse(os.Args[2:]); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	return clients[os.Args[1]](context.Background(), config, o)
}

// tell writes one line of what was seen.
func tell(line map[string]any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}
