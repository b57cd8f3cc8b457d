// The scale client, called as the horizontal pod autoscaler calls it.
package main

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
)

func runScale(ctx context.Context, config *rest.Config, o options) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client))
	resolver := scale.NewDiscoveryScaleKindResolver(client)
	scales, err := scale.NewForConfig(config, mapper, dynamic.LegacyAPIPathResolverFunc, resolver)
	if err != nil {
		return err
	}
	of, resource := scales.Scales(o.namespace), o.resource.GroupResource()
	held, err := of.Get(ctx, resource, o.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	before := held.Spec.Replicas
	held.Spec.Replicas = int32(o.replicas)
	held, err = of.Update(ctx, resource, held, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	tell(map[string]any{
		"event":    "scaled",
		"before":   before,
		"after":    held.Spec.Replicas,
		"selector": held.Status.Selector,
	})
	return nil
}
