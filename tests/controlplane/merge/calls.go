package main

import (
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	module = "sigs.k8s.io/structured-merge-diff/v6"
	// unused keeps a recorder out of this program; it is cut off in the copy.
	unused = "//go:build ignore\n"
)

//go:embed recorders/*.go
var recorders embed.FS

// A function of the module that is recorded: it gets another name, and the recorder the one it had.
type recorded struct{ file, old, new string }

var functions = []recorded{
	{"typed/typed.go", "func (tv TypedValue) Validate(", "func (tv TypedValue) realValidate("},
	{"typed/typed.go", "func (tv TypedValue) ToFieldSet(", "func (tv TypedValue) realToFieldSet("},
	{"typed/typed.go", "func (tv TypedValue) Merge(", "func (tv TypedValue) realMerge("},
	{"typed/typed.go", "func (tv TypedValue) Compare(", "func (tv TypedValue) realCompare("},
	{"typed/typed.go", "func (tv TypedValue) RemoveItems(", "func (tv TypedValue) realRemoveItems("},
	{"typed/typed.go", "func (tv TypedValue) ExtractItems(", "func (tv TypedValue) realExtractItems("},
	{"typed/reconcile_schema.go", "func ReconcileFieldSetWithSchema(", "func realReconcile("},
	{"merge/update.go", "func (s *Updater) Update(", "func (s *Updater) realUpdate("},
	{"merge/update.go", "func (s *Updater) Apply(", "func (s *Updater) realApply("},
	{"fieldpath/set.go", "func (s *Set) Union(", "func (s *Set) realUnion("},
	{"fieldpath/set.go", "func (s *Set) Intersection(", "func (s *Set) realIntersection("},
	{"fieldpath/set.go", "func (s *Set) Difference(", "func (s *Set) realDifference("},
	{"fieldpath/set.go", "func (s *Set) RecursiveDifference(", "func (s *Set) realRecursiveDifference("},
	{"fieldpath/set.go", "func (s *Set) Leaves(", "func (s *Set) realLeaves("},
	{"fieldpath/set.go", "func (s *Set) Has(", "func (s *Set) realHas("},
	{"fieldpath/set.go", "func (s *Set) EnsureNamedFieldsAreMembers(", "func (s *Set) realEnsureNamedFieldsAreMembers("},
	{"fieldpath/serialize.go", "func (s *Set) FromJSON(", "func (s *Set) realFromJSON("},
	{"fieldpath/serialize-pe.go", "func DeserializePathElement(", "func realDeserializePathElement("},
}

// writeCalls runs the module's own tests in a copy of it that records what they call.
func writeCalls(out io.Writer) error {
	where, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return fmt.Errorf("looking for %s: %w", module, err)
	}
	copied, err := os.MkdirTemp("", "merge-calls")
	if err != nil {
		return err
	}
	defer os.RemoveAll(copied)
	if err := copyModule(strings.TrimSpace(string(where)), copied); err != nil {
		return err
	}
	for _, function := range functions {
		if err := rename(filepath.Join(copied, function.file), function); err != nil {
			return err
		}
	}
	for _, name := range []string{"recorder", "typed", "merge", "fieldpath"} {
		text, err := recorders.ReadFile("recorders/" + name + ".go")
		if err != nil {
			return err
		}
		folder := filepath.Join(copied, name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		text = []byte(strings.TrimPrefix(string(text), unused))
		if err := os.WriteFile(filepath.Join(folder, "calls_recorder.go"), text, 0o644); err != nil {
			return err
		}
	}
	for _, name := range []string{"fieldpath", "typed", "merge"} {
		calls := filepath.Join(copied, name+".jsonl")
		test := exec.Command("go", "test", "-count=1", "-vet=off", "./"+name)
		test.Dir = copied
		test.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "MERGE_CALLS="+calls, "MERGE_PACKAGE="+name)
		if text, err := test.CombinedOutput(); err != nil {
			return fmt.Errorf("the tests of %s: %w\n%s", name, err, text)
		}
		if err := pour(out, calls); err != nil {
			return err
		}
	}
	return nil
}

func pour(out io.Writer, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(out, file)
	return err
}

func rename(name string, function recorded) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if strings.Count(string(text), function.old) != 1 {
		return fmt.Errorf("%s has no single %q", function.file, function.old)
	}
	return os.WriteFile(name, []byte(strings.Replace(string(text), function.old, function.new, 1)), 0o644)
}

func copyModule(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o644)
	})
}
