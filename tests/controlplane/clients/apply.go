// Apply configurations, as a controller works with them: extract what it applied, change it, apply it again.
package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

func runApply(ctx context.Context, config *rest.Config, o options) error {
	documents, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	// The types come from the OpenAPI documents of the server.
	extractor, err := applymetav1.NewUnstructuredExtractor(documents)
	if err != nil {
		return err
	}
	dynamics, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	client := dynamics.Resource(o.resource).Namespace(o.namespace)
	configuration := func(spec map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": o.resource.GroupVersion().String(),
			"kind":       o.kind,
			"metadata":   map[string]any{"name": o.name},
			"spec":       spec,
		}}
	}
	apply := func(manager string, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		return client.Apply(ctx, o.name, object, metav1.ApplyOptions{FieldManager: manager})
	}
	if _, err := apply("controller", configuration(map[string]any{"replicas": int64(2), "note": "mine"})); err != nil {
		return err
	}
	live, err := apply("human", configuration(map[string]any{"image": "theirs"}))
	if err != nil {
		return err
	}
	extracted, err := extractor.Extract(live, "controller")
	if err != nil {
		return fmt.Errorf("extracting what was applied: %w", err)
	}
	before := extracted.DeepCopy().Object["spec"]
	unstructured.RemoveNestedField(extracted.Object, "spec", "note")
	if err := unstructured.SetNestedField(extracted.Object, int64(o.replicas), "spec", "replicas"); err != nil {
		return err
	}
	live, err = apply("controller", extracted)
	if err != nil {
		return err
	}
	_, refused := apply("human", configuration(map[string]any{"replicas": int64(o.replicas + 1)}))
	tell(map[string]any{
		"event":     "applied",
		"extracted": before,
		"spec":      live.Object["spec"],
		"conflict":  apierrors.IsConflict(refused) && apierrors.HasStatusCause(refused, metav1.CauseTypeFieldManagerConflict),
	})
	return nil
}
