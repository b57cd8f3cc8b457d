// Runs the engine of Argo CD (github.com/argoproj/gitops-engine) on a cluster: takes questions as lines of JSON and
// answers each with one. It never reads kinds anew but when the engine itself does.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/argoproj/gitops-engine/pkg/cache"
	"github.com/argoproj/gitops-engine/pkg/diff"
	"github.com/argoproj/gitops-engine/pkg/engine"
	"github.com/argoproj/gitops-engine/pkg/sync"
	"github.com/argoproj/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/gitops-engine/pkg/utils/tracing"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// manager is the field manager of syncs and diffs.
const manager = "gitops"

// mark is the label of what is in the repository.
const mark = "gitops.example.com/managed"

// syncMax bounds one sync.
const syncMax = 20 * time.Second

// question is one line of the input.
type question struct {
	// Do is known, objects, diff or sync.
	Do    string
	Group string
	Kind  string
	// Mode of a diff: three-way, structured or server.
	Mode string
	// Targets are the objects of the repository.
	Targets []*unstructured.Unstructured
}

// answer is one line of the output.
type answer struct {
	Error string `json:"error,omitempty"`
	// Objects that the engine holds of a kind.
	Objects []string `json:"objects"`
	// Modified says whether a diff finds one.
	Modified bool `json:"modified"`
	// Results of a sync, an object each.
	Results []string `json:"results,omitempty"`
}

type program struct {
	config  *rest.Config
	kubectl *kube.KubectlCmd
	cache   cache.ClusterCache
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "the cluster")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	config.QPS, config.Burst = 200, 400
	kubectl := &kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}
	managed := func(object *unstructured.Unstructured, _ bool) (any, bool) {
		is := object.GetLabels()[mark] == "yes"
		return is, is
	}
	clusterCache := cache.NewClusterCache(config,
		cache.SetLogr(logr.Discard()), cache.SetKubectl(kubectl), cache.SetPopulateResourceInfoHandler(managed))
	p := &program{config: config, kubectl: kubectl, cache: clusterCache}
	out := json.NewEncoder(os.Stdout)
	if err := clusterCache.EnsureSynced(); err != nil {
		_ = out.Encode(answer{Error: err.Error()})
		os.Exit(1)
	}
	_ = out.Encode(answer{})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			_ = out.Encode(answer{Error: err.Error()})
			continue
		}
		told, err := p.answer(asked)
		if err != nil {
			told.Error = err.Error()
		}
		_ = out.Encode(told)
	}
}

func (p *program) answer(asked question) (answer, error) {
	switch asked.Do {
	case "known":
		_, err := p.cache.IsNamespaced(schema.GroupKind{Group: asked.Group, Kind: asked.Kind})
		return answer{}, err
	case "objects":
		return answer{Objects: p.objects(asked.Group, asked.Kind)}, nil
	case "diff":
		modified, err := p.diff(asked)
		return answer{Modified: modified}, err
	case "sync":
		results, err := p.sync(asked.Targets)
		return answer{Results: results}, err
	default:
		return answer{}, fmt.Errorf("unknown question %q", asked.Do)
	}
}

func (p *program) objects(group, kind string) []string {
	found := p.cache.FindResources("", func(r *cache.Resource) bool {
		key := r.ResourceKey()
		return key.Group == group && key.Kind == kind
	})
	names := []string{}
	for key := range found {
		names = append(names, key.Namespace+"/"+key.Name)
	}
	sort.Strings(names)
	return names
}

func isManaged(r *cache.Resource) bool {
	is, ok := r.Info.(bool)
	return ok && is
}

func (p *program) diff(asked question) (bool, error) {
	live, err := p.cache.GetManagedLiveObjs(asked.Targets, isManaged)
	if err != nil {
		return false, err
	}
	found := sync.Reconcile(asked.Targets, live, "default", p.cache)
	options := []diff.Option{diff.WithLogr(logr.Discard()), diff.WithManager(manager), diff.WithGVKParser(p.cache.GetGVKParser())}
	switch asked.Mode {
	case "three-way":
	case "structured":
		options = append(options, diff.WithStructuredMergeDiff(true))
	case "server":
		operations, cleanup, err := kube.ManageServerSideDiffDryRuns(
			p.config, p.cache.GetOpenAPISchema(), tracing.NopTracer{}, logr.Discard(), nil)
		if err != nil {
			return false, err
		}
		defer cleanup()
		options = append(options, diff.WithServerSideDiff(true), diff.WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(operations)))
	default:
		return false, fmt.Errorf("unknown mode %q", asked.Mode)
	}
	result, err := diff.DiffArray(found.Target, found.Live, options...)
	if err != nil {
		return false, err
	}
	return result.Modified, nil
}

func (p *program) sync(targets []*unstructured.Unstructured) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), syncMax)
	defer cancel()
	syncing := engine.NewEngine(p.config, p.cache, engine.WithLogr(logr.Discard()), engine.WithKubectl(p.kubectl))
	results, err := syncing.Sync(ctx, targets, isManaged, "revision", "default", sync.WithPrune(true), sync.WithLogr(logr.Discard()),
		sync.WithServerSideApply(true), sync.WithServerSideApplyManager(manager))
	told := []string{}
	for _, result := range results {
		told = append(told, fmt.Sprintf("%s %s: %s", result.ResourceKey.Name, result.Status, result.Message))
	}
	return told, err
}
