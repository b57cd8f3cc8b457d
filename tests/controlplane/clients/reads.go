// Lists in pages, and a watch from a revision that nobody remembers.
package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
)

// pageSize is how many objects a page has.
const pageSize = 2

func runPages(ctx context.Context, config *rest.Config, o options) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	pages := 0
	list := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		pages++
		return client.Resource(o.resource).Namespace(o.namespace).List(ctx, options)
	})
	list.PageSize = pageSize
	var names []string
	err = list.EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		names = append(names, object.(*unstructured.Unstructured).GetName())
		return nil
	})
	if err != nil {
		return err
	}
	tell(map[string]any{"event": "listed", "pages": pages, "names": names})
	return nil
}

func runExpired(ctx context.Context, config *rest.Config, o options) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	old := metav1.ListOptions{ResourceVersion: "1"}
	watched, err := client.Resource(o.resource).Namespace(o.namespace).Watch(ctx, old)
	if err != nil {
		return err
	}
	defer watched.Stop()
	event := <-watched.ResultChan()
	if event.Type != watch.Error {
		return fmt.Errorf("the watch began with %v", event)
	}
	expired := apierrors.IsResourceExpired(apierrors.FromObject(event.Object))
	tell(map[string]any{"event": "expired", "recognised": expired})
	return nil
}
