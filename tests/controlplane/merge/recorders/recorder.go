//go:build ignore

// Package recorder writes calls and their outcome, one a line.
package recorder

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"

	yaml "go.yaml.in/yaml/v2"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
)

// Object is a JSON object.
type Object = map[string]any

var (
	lock    sync.Mutex
	naming  sync.Mutex
	file    *os.File
	seen    = map[string]bool{}
	schemas = map[*schema.Schema]string{}
)

// In says whether the tests of a package run.
func In(name string) bool { return os.Getenv("MERGE_PACKAGE") == name }

// Emit writes one call, unless the same was written before.
func Emit(call Object) {
	text, err := json.Marshal(call)
	if err != nil {
		panic(err)
	}
	lock.Lock()
	defer lock.Unlock()
	if seen[string(text)] {
		return
	}
	seen[string(text)] = true
	if file == nil {
		if file, err = os.OpenFile(os.Getenv("MERGE_CALLS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644); err != nil {
			panic(err)
		}
	}
	if _, err := file.Write(append(text, '\n')); err != nil {
		panic(err)
	}
}

// Type names a type for the reader: its document was written before. Types without a name are not recorded.
func Type(s *schema.Schema, ref schema.TypeRef) (any, bool) {
	if ref.NamedType == nil || ref.ElementRelationship != nil || s == nil {
		return nil, false
	}
	// Held until the document is written: tests run side by side.
	naming.Lock()
	defer naming.Unlock()
	id, known := schemas[s]
	if !known {
		id = fmt.Sprintf("%s-%d", os.Getenv("MERGE_PACKAGE"), len(schemas))
		schemas[s] = id
		text, err := yaml.Marshal(s)
		if err != nil {
			panic(err)
		}
		var document any
		if err := yaml.Unmarshal(text, &document); err != nil {
			panic(err)
		}
		Emit(Object{"call": "schema", "id": id, "document": Plain(document)})
	}
	return Object{"schema": id, "name": *ref.NamedType}, true
}

// Plain is a decoded YAML document as JSON has it.
func Plain(value any) any {
	switch value := value.(type) {
	case map[any]any:
		out := Object{}
		for name, entry := range value {
			out[fmt.Sprint(name)] = Plain(entry)
		}
		return out
	case map[string]any:
		out := Object{}
		for name, entry := range value {
			out[name] = Plain(entry)
		}
		return out
	case []any:
		out := make([]any, 0, len(value))
		for _, item := range value {
			out = append(out, Plain(item))
		}
		return out
	}
	return value
}

// Error is the text of an error, or null.
func Error(err error) any {
	if err == nil {
		return nil
	}
	return err.Error()
}
