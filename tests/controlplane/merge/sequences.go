package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/conversion"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/klog/v2"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

const (
	group = "g.example"
	kind  = "Thing"
	// stepsOfSequence is how many requests an object gets.
	stepsOfSequence = 18
	// secondsOfStep is the time between them.
	secondsOfStep = 7
)

var versions = []string{"v1", "v2"}

// start is when a sequence begins, by its own clock.
var start = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// A sequence is what happens to one object, and what becomes of it.
type sequence struct {
	Schemas []object `json:"schemas"`
	Steps   []step   `json:"steps"`
}

type step struct {
	// Schema is the place of the schema that is in force.
	Schema      int    `json:"schema"`
	Operation   string `json:"operation"`
	Manager     string `json:"manager"`
	Version     string `json:"version"`
	Subresource string `json:"subresource"`
	Now         string `json:"now"`
	Live        object `json:"live"`
	Object      object `json:"object"`
	// One of these two.
	Result object   `json:"result,omitempty"`
	Error  *failure `json:"error,omitempty"`
}

type failure struct {
	Code    int32                `json:"code"`
	Message string               `json:"message"`
	Causes  []metav1.StatusCause `json:"causes,omitempty"`
}

// A server is what kube-apiserver sets up for a custom resource with one schema.
type server struct {
	types     managedfields.TypeConverter
	converter runtime.ObjectConvertor
	defaults  *structural.Structural
}

func newServer(openAPI object) (*server, error) {
	text, err := json.Marshal(openAPI)
	if err != nil {
		return nil, err
	}
	props := &apiextensionsv1.JSONSchemaProps{}
	if err := json.Unmarshal(text, props); err != nil {
		return nil, err
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	crd.Spec.Group = group
	crd.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{Plural: "things", Kind: kind, ListKind: "ThingList"}
	crd.Spec.Scope = apiextensionsv1.NamespaceScoped
	crd.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.NoneConverter}
	for i, name := range versions {
		crd.Spec.Versions = append(crd.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{
			Name: name, Served: true, Storage: i == 0,
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: props},
		})
	}
	models := builder.MergeSpecsV3
	first, err := builder.BuildOpenAPIV3(crd, versions[0], builder.Options{})
	if err != nil {
		return nil, err
	}
	second, err := builder.BuildOpenAPIV3(crd, versions[1], builder.Options{})
	if err != nil {
		return nil, err
	}
	merged, err := models(first, second)
	if err != nil {
		return nil, err
	}
	types, err := managedfields.NewTypeConverter(merged.Components.Schemas, false)
	if err != nil {
		return nil, err
	}
	factory, err := conversion.NewCRConverterFactory(nil, nil)
	if err != nil {
		return nil, err
	}
	safe, _, err := factory.NewConverter(crd)
	if err != nil {
		return nil, err
	}
	internal := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(props, internal, nil); err != nil {
		return nil, err
	}
	defaults, err := structural.NewStructural(internal)
	if err != nil {
		return nil, err
	}
	return &server{types: types, converter: safe, defaults: defaults}, nil
}

func (s *server) Default(object runtime.Object) {
	defaulting.Default(object.(*unstructured.Unstructured).Object, s.defaults)
}

func (s *server) New(gvk schema.GroupVersionKind) (runtime.Object, error) {
	out := &unstructured.Unstructured{}
	out.SetGroupVersionKind(gvk)
	return out, nil
}

func (s *server) manager(version, subresource string) (*managedfields.FieldManager, error) {
	reset := map[fieldpath.APIVersion]*fieldpath.Set{}
	for _, version := range versions {
		set := fieldpath.NewSet(fieldpath.MakePathOrDie("status"))
		if subresource == "status" {
			set = fieldpath.NewSet(fieldpath.MakePathOrDie("metadata"), fieldpath.MakePathOrDie("spec"))
		}
		reset[fieldpath.APIVersion(group+"/"+version)] = set
	}
	if subresource == "" {
		delete(reset, fieldpath.APIVersion(group+"/v2"))
	}
	gv := schema.GroupVersion{Group: group, Version: version}
	return managedfields.NewDefaultCRDFieldManager(s.types, s.converter, s, s, gv.WithKind(kind), gv, subresource,
		fieldpath.NewExcludeFilterSetMap(reset))
}

func writeSequences(out io.Writer, seed int64, count int) error {
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	klog.InitFlags(flags)
	_ = flags.Set("logtostderr", "false")
	klog.SetOutput(io.Discard)
	encoder := json.NewEncoder(out)
	for i := 0; i < count; i++ {
		made, err := makeSequence(generator{rand.New(rand.NewSource(seed + int64(i)))})
		if err != nil {
			return fmt.Errorf("sequence %d: %w", i, err)
		}
		if err := encoder.Encode(made); err != nil {
			return err
		}
	}
	return nil
}

func makeSequence(g generator) (*sequence, error) {
	first := g.root()
	out := &sequence{Schemas: []object{first, g.changed(first).(object)}}
	servers := []*server{}
	for _, openAPI := range out.Schemas {
		server, err := newServer(openAPI)
		if err != nil {
			return nil, err
		}
		servers = append(servers, server)
	}
	managers := []string{"kubectl", "flux", "argo", "", "hpa"}
	for i := 0; i < 9; i++ {
		managers = append(managers, fmt.Sprintf("m %d\"<", i))
	}
	few := managers[:5]
	if g.odds(4) {
		few = managers
	}
	change := g.Intn(2 * stepsOfSequence)
	var live object
	for i := 0; i < stepsOfSequence; i++ {
		next := step{Manager: few[g.Intn(len(few))], Version: versions[0], Live: live}
		if i > change {
			next.Schema = 1
		}
		if g.odds(5) {
			next.Version = versions[1]
		}
		if live != nil && g.odds(6) {
			next.Subresource = "status"
		}
		now := start.Add(time.Duration(i*secondsOfStep) * time.Second)
		next.Now = now.Format(time.RFC3339)
		g.request(&next, out.Schemas[next.Schema])
		began := time.Now().Add(-time.Minute)
		if err := servers[next.Schema].serve(&next); err != nil {
			return nil, err
		}
		if next.Result != nil {
			// Validation stops most objects that do not follow the schema.
			_, wrong := servers[next.Schema].types.ObjectToTyped(&unstructured.Unstructured{Object: next.Result}, typed.AllowDuplicates)
			stored := wrong == nil || g.odds(10)
			setTimes(next.Result, began, next.Now)
			if stored {
				live = runtime.DeepCopyJSON(next.Result)
				live["metadata"].(object)["uid"] = "u"
				if g.odds(40) {
					delete(live["metadata"].(object), "managedFields")
				}
			}
		}
		out.Steps = append(out.Steps, next)
	}
	return out, nil
}

// request decides what a client sends.
func (g generator) request(next *step, openAPI object) {
	body := g.entries(openAPI)
	if g.odds(2) || body["spec"] == nil {
		body["spec"] = g.value(openAPI["properties"].(object)["spec"].(object))
	}
	body["apiVersion"], body["kind"], body["metadata"] = group+"/"+next.Version, kind, g.metadata()
	metadata := body["metadata"].(object)
	next.Operation = []string{"apply", "apply", "force", "update"}[g.Intn(4)]
	if next.Operation == "update" && next.Live != nil {
		if g.odds(2) {
			// Most updates change little.
			kept := runtime.DeepCopyJSON(next.Live)
			kept["apiVersion"] = body["apiVersion"]
			spec, full := kept["spec"].(object)
			if more, fits := body["spec"].(object); full && fits {
				for name, value := range more {
					if g.odds(3) {
						spec[name] = value
					}
				}
			}
			body = kept
			metadata = body["metadata"].(object)
		} else {
			metadata["uid"] = "u"
		}
		switch g.Intn(25) {
		case 0:
			metadata["managedFields"] = []any{}
		case 1:
			metadata["managedFields"] = []any{object{}}
		case 2:
			metadata["managedFields"] = []any{object{"manager": "x", "operation": "Oops"}}
		case 3:
			metadata["managedFields"] = []any{object{"manager": "x", "operation": "Apply", "apiVersion": group + "/v1",
				"fieldsType": "FieldsV1", "fieldsV1": object{"f:spec": object{"f:f0": object{}, "i:1": object{}}}}}
		case 4:
			delete(metadata, "managedFields")
		case 5:
			applied := g.entries(openAPI)
			applied["apiVersion"], applied["kind"], applied["metadata"] = group+"/"+next.Version, kind, object{"name": "n"}
			if g.odds(2) {
				applied["spec"] = body["spec"]
			}
			text, _ := json.Marshal(applied)
			annotations, _ := metadata["annotations"].(object)
			if annotations == nil {
				annotations = object{}
			}
			annotations["kubectl.kubernetes.io/last-applied-configuration"] = string(text)
			metadata["annotations"] = annotations
		case 6:
			metadata["managedFields"] = []any{object{"manager": "old", "operation": "Update", "apiVersion": group + "/v0",
				"fieldsType": "FieldsV1", "fieldsV1": object{"f:spec": object{"f:set": object{}}}}}
		}
	}
	if next.Operation != "update" {
		if g.odds(60) {
			body["apiVersion"] = group + "/v3"
		}
		if g.odds(60) {
			metadata["managedFields"] = []any{}
		}
	}
	next.Object = body
}

func (s *server) serve(next *step) error {
	manager, err := s.manager(next.Version, next.Subresource)
	if err != nil {
		return err
	}
	live := &unstructured.Unstructured{Object: object{"apiVersion": group + "/" + next.Version, "kind": kind}}
	if next.Live != nil {
		live.Object = runtime.DeepCopyJSON(next.Live)
	}
	sent := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(next.Object)}
	if next.Operation == "update" {
		next.Result = manager.UpdateNoErrors(live, sent, next.Manager).(*unstructured.Unstructured).Object
		return nil
	}
	result, err := manager.Apply(live, sent, next.Manager, next.Operation == "force")
	if err == nil {
		next.Result = result.(*unstructured.Unstructured).Object
		return nil
	}
	next.Error = &failure{Code: 500, Message: err.Error()}
	status := apierrors.APIStatus(nil)
	if errors.As(err, &status) {
		next.Error.Code = status.Status().Code
		if details := status.Status().Details; details != nil {
			next.Error.Causes = details.Causes
		}
	}
	return nil
}

// setTimes puts the time of the sequence in place of that of the process.
func setTimes(result object, began time.Time, now string) {
	entries, _, _ := unstructured.NestedFieldNoCopy(result, "metadata", "managedFields")
	list, _ := entries.([]any)
	for _, entry := range list {
		entry := entry.(object)
		text, _ := entry["time"].(string)
		if at, err := time.Parse(time.RFC3339, text); err == nil && at.After(began) {
			entry["time"] = now
		}
	}
}
