//go:build ignore

package fieldpath

import (
	"bytes"
	"io"

	"sigs.k8s.io/structured-merge-diff/v6/recorder"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
)

// RecordedSet is a set as fieldsV1 has it.
func RecordedSet(s *Set) any {
	if s == nil {
		return nil
	}
	text, err := s.ToJSON()
	if err != nil {
		panic(err)
	}
	return string(text)
}

// ExcludedSet is what a filter excludes.
func ExcludedSet(filter Filter) (*Set, bool) {
	exclude, ok := filter.(excludeFilter)
	return exclude.excludeSet, ok
}

func recordTwo(name string, a, b, out *Set) *Set {
	if recorder.In("fieldpath") {
		recorder.Emit(recorder.Object{"call": name, "a": RecordedSet(a), "b": RecordedSet(b), "out": RecordedSet(out)})
	}
	return out
}

func (s *Set) Union(other *Set) *Set { return recordTwo("union", s, other, s.realUnion(other)) }

func (s *Set) Intersection(other *Set) *Set {
	return recordTwo("intersection", s, other, s.realIntersection(other))
}

func (s *Set) Difference(other *Set) *Set {
	return recordTwo("difference", s, other, s.realDifference(other))
}

func (s *Set) RecursiveDifference(other *Set) *Set {
	return recordTwo("recursiveDifference", s, other, s.realRecursiveDifference(other))
}

func (s *Set) Leaves() *Set { return recordTwo("leaves", s, nil, s.realLeaves()) }

func (s *Set) Has(path Path) bool {
	out := s.realHas(path)
	if recorder.In("fieldpath") && len(path) > 0 {
		recorder.Emit(recorder.Object{"call": "has", "a": RecordedSet(s), "b": RecordedSet(NewSet(path)), "out": out})
	}
	return out
}

func (s *Set) EnsureNamedFieldsAreMembers(types *schema.Schema, ref schema.TypeRef) *Set {
	out := s.realEnsureNamedFieldsAreMembers(types, ref)
	if recorder.In("fieldpath") {
		if kind, named := recorder.Type(types, ref); named {
			recorder.Emit(recorder.Object{"call": "named", "type": kind, "a": RecordedSet(s), "out": RecordedSet(out)})
		}
	}
	return out
}

func (s *Set) FromJSON(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	err = s.realFromJSON(bytes.NewReader(text))
	if recorder.In("fieldpath") {
		call := recorder.Object{"call": "fromJSON", "text": string(text), "failed": err != nil}
		if err == nil {
			call["out"] = RecordedSet(s)
		}
		recorder.Emit(call)
	}
	return err
}

func DeserializePathElement(text string) (PathElement, error) {
	out, err := realDeserializePathElement(text)
	if recorder.In("fieldpath") {
		call := recorder.Object{"call": "element", "text": text, "failed": err != nil && err != ErrUnknownPathElementType}
		if err == nil {
			wire, err := SerializePathElement(out)
			if err != nil {
				panic(err)
			}
			call["out"], call["shown"] = wire, out.String()
		}
		recorder.Emit(call)
	}
	return out, err
}
