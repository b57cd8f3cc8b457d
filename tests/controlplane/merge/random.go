package main

import (
	"fmt"
	"math/rand"
)

type object = map[string]any

// A generator makes schemas with every list and map type, and objects that mostly follow them.
type generator struct{ *rand.Rand }

var names = []string{"a", "b", "c"}

func (g generator) odds(n int) bool { return g.Intn(n) == 0 }

func (g generator) schema(depth int) object {
	kinds := 14
	if depth <= 0 {
		kinds = 6
	}
	switch g.Intn(kinds) {
	case 0:
		return object{"type": "string"}
	case 1:
		return object{"type": "string", "format": "date-time"}
	case 2:
		return object{"type": "integer"}
	case 3:
		return object{"type": "number"}
	case 4:
		return object{"type": "boolean", "nullable": g.odds(2)}
	case 5:
		return object{"x-kubernetes-int-or-string": true}
	case 6, 7:
		return g.fields(depth)
	case 8:
		schema := object{"type": "object", "additionalProperties": g.schema(depth - 1)}
		return g.mapType(schema)
	case 9:
		return object{"type": "array", "items": g.schema(depth - 1)}
	case 10:
		item := g.schema(0)
		delete(item, "nullable")
		return object{"type": "array", "x-kubernetes-list-type": "set", "items": item}
	case 11, 12:
		return g.listMap(depth)
	default:
		if g.odds(3) {
			return object{"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}
		}
		return object{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	}
}

func (g generator) mapType(schema object) object {
	switch g.Intn(4) {
	case 0:
		schema["x-kubernetes-map-type"] = "atomic"
	case 1:
		schema["x-kubernetes-map-type"] = "granular"
	}
	return schema
}

func (g generator) fields(depth int) object {
	properties := object{}
	for _, name := range names {
		properties[name] = g.schema(depth - 1)
	}
	if g.odds(4) {
		properties["d"] = object{"type": "string", "default": "x"}
	}
	schema := object{"type": "object", "properties": properties}
	if g.odds(6) {
		schema["x-kubernetes-preserve-unknown-fields"] = true
	}
	return g.mapType(schema)
}

func (g generator) listMap(depth int) object {
	item := g.fields(depth)
	delete(item, "x-kubernetes-map-type")
	properties := item["properties"].(object)
	properties["key"] = object{"type": "string"}
	keys, required := []any{"key"}, []any{"key"}
	if g.odds(2) {
		properties["port"] = object{"type": "integer"}
		keys = append(keys, "port")
		if g.odds(2) {
			properties["port"].(object)["default"] = int64(80)
		} else {
			required = append(required, "port")
		}
	}
	item["required"] = required
	return object{"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
}

func (g generator) root() object {
	spec := object{}
	for i := 0; i < 4; i++ {
		spec[fmt.Sprintf("f%d", i)] = g.schema(3)
	}
	spec["set"] = object{"type": "array", "x-kubernetes-list-type": "set", "items": object{"type": "string"}}
	spec["list"] = g.listMap(1)
	return object{"type": "object", "properties": object{
		"spec":   object{"type": "object", "properties": spec},
		"status": object{"type": "object", "properties": object{"a": g.schema(1), "b": object{"type": "integer"}}},
	}}
}

// changed is the schema with some lists and maps of another type.
func (g generator) changed(schema any) any {
	node, ok := schema.(object)
	if !ok {
		return schema
	}
	out := object{}
	for name, value := range node {
		if name == "properties" {
			properties := object{}
			for name, property := range value.(object) {
				properties[name] = g.changed(property)
			}
			out[name] = properties
		} else if name == "items" || name == "additionalProperties" {
			out[name] = g.changed(value)
		} else {
			out[name] = value
		}
	}
	if g.odds(3) {
		if _, mapped := out["properties"]; mapped || out["additionalProperties"] != nil {
			delete(out, "x-kubernetes-map-type")
			return g.mapType(out)
		}
		if out["type"] == "array" {
			delete(out, "x-kubernetes-list-type")
			delete(out, "x-kubernetes-list-map-keys")
		}
	}
	return out
}

// value follows the schema, but for one in four hundred.
func (g generator) value(schema object) any {
	if g.odds(400) {
		return []any{nil, int64(1), "x", true, []any{}, object{}, []any{"a"}, object{"x": "y"}}[g.Intn(8)]
	}
	if schema["x-kubernetes-int-or-string"] == true {
		return []any{int64(g.Intn(3)), "a"}[g.Intn(2)]
	}
	switch schema["type"] {
	case "string":
		return names[g.Intn(3)]
	case "integer":
		return int64(g.Intn(3))
	case "number":
		return []any{int64(1), 1.5, 2.25, 1e-7}[g.Intn(4)]
	case "boolean":
		if schema["nullable"] == true && g.odds(3) {
			return nil
		}
		return g.odds(2)
	case "array":
		return g.items(schema)
	}
	return g.entries(schema)
}

func (g generator) entries(schema object) object {
	out := object{}
	for name, property := range properties(schema) {
		if g.odds(2) {
			out[name] = g.value(property.(object))
		}
	}
	if entry, ok := schema["additionalProperties"].(object); ok {
		for _, name := range names {
			if g.odds(2) {
				out[name] = g.value(entry)
			}
		}
	}
	if schema["x-kubernetes-preserve-unknown-fields"] == true {
		for _, name := range []string{"x", "y", "z"} {
			if g.odds(2) {
				out[name] = g.anything(2)
			}
		}
	}
	if schema["x-kubernetes-embedded-resource"] == true {
		out["apiVersion"], out["kind"] = "v1", "Other"
		if g.odds(2) {
			out["metadata"] = object{"name": "n", "labels": object{"a": names[g.Intn(3)]}}
		}
	}
	if g.odds(300) {
		out["unknown"] = "x"
	}
	return out
}

func properties(schema object) object {
	out, _ := schema["properties"].(object)
	return out
}

func (g generator) items(schema object) []any {
	items := schema["items"].(object)
	out := []any{}
	seen := map[string]bool{}
	for i := g.Intn(4); i > 0; i-- {
		item := g.value(items)
		key := fmt.Sprint(item)
		if fields, ok := item.(object); ok && schema["x-kubernetes-list-type"] == "map" {
			for name, property := range properties(items) {
				if name == "key" || name == "port" && property.(object)["default"] == nil {
					fields[name] = g.value(property.(object))
				}
			}
			key = fmt.Sprint(fields["key"], fields["port"])
			if fields["port"] == nil {
				key = fmt.Sprint(fields["key"], 80)
			}
		}
		if schema["x-kubernetes-list-type"] != nil && seen[key] && !g.odds(30) {
			continue
		}
		seen[key] = true
		out = append(out, item)
	}
	return out
}

func (g generator) anything(depth int) any {
	switch g.Intn(5 + 3*min(depth, 1)) {
	case 0:
		return names[g.Intn(3)]
	case 1:
		return int64(g.Intn(3))
	case 2:
		return g.odds(2)
	case 3:
		return nil
	case 4:
		return 0.5
	case 5:
		return []any{g.anything(depth - 1), g.anything(depth - 1)}
	}
	out := object{}
	for _, name := range names {
		if g.odds(2) {
			out[name] = g.anything(depth - 1)
		}
	}
	return out
}

func (g generator) metadata() object {
	out := object{"name": "n", "namespace": "ns"}
	for _, field := range []string{"labels", "annotations"} {
		if g.odds(2) {
			entries := object{}
			for _, name := range names {
				if g.odds(2) {
					entries[name+"/<&>"] = names[g.Intn(3)]
				}
			}
			out[field] = entries
		}
	}
	if g.odds(3) {
		finalizers := []any{}
		for _, name := range names {
			if g.odds(2) {
				finalizers = append(finalizers, name+".example/x")
			}
		}
		g.Shuffle(len(finalizers), func(i, j int) { finalizers[i], finalizers[j] = finalizers[j], finalizers[i] })
		out["finalizers"] = finalizers
	}
	if g.odds(4) {
		uid := names[g.Intn(3)]
		owner := object{"apiVersion": "v1", "kind": "Pod", "name": uid, "uid": uid}
		if g.odds(2) {
			owner["controller"] = g.odds(2)
		}
		out["ownerReferences"] = []any{owner}
	}
	return out
}
