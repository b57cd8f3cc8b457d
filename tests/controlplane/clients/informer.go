// A dynamic informer, as controllers have it. Whether it lists or streams the list, KUBE_FEATURE_WatchListClient says.
package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// teller tells of every request that is sent.
type teller struct {
	next http.RoundTripper
}

func (t teller) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(request)
	code := 0
	if answer != nil {
		code = answer.StatusCode
	}
	query := request.URL.Query()
	tell(map[string]any{
		"event":             "request",
		"watch":             query.Get("watch"),
		"sendInitialEvents": query.Get("sendInitialEvents"),
		"resourceVersion":   query.Get("resourceVersion"),
		"code":              code,
	})
	return answer, err
}

func runInformer(ctx context.Context, config *rest.Config, o options) error {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return teller{next} })
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, o.namespace, nil)
	informer := factory.ForResource(o.resource).Informer()
	seen := func(event string, object any) {
		if gone, lost := object.(cache.DeletedFinalStateUnknown); lost {
			object = gone.Obj
		}
		held := object.(*unstructured.Unstructured)
		replicas, _, _ := unstructured.NestedInt64(held.Object, "spec", "replicas")
		tell(map[string]any{"event": event, "name": held.GetName(), "replicas": replicas})
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { seen("added", object) },
		UpdateFunc: func(_, object any) { seen("updated", object) },
		DeleteFunc: func(object any) { seen("deleted", object) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	bounded, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if !cache.WaitForCacheSync(bounded.Done(), informer.HasSynced) {
		return fmt.Errorf("the informer has not synced within a minute")
	}
	tell(map[string]any{"event": "synced", "objects": len(informer.GetStore().List())})
	<-ctx.Done()
	return nil
}
