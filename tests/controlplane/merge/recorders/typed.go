//go:build ignore

package typed

import (
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/recorder"
)

// Recorded is a typed value for the reader.
func Recorded(tv *TypedValue) (recorder.Object, bool) {
	kind, named := recorder.Type(tv.schema, tv.typeRef)
	if !named {
		return nil, false
	}
	return recorder.Object{"type": kind, "value": plain(tv)}, true
}

func plain(tv *TypedValue) any {
	if tv == nil || tv.value == nil {
		return nil
	}
	return recorder.Plain(tv.value.Unstructured())
}

// record starts a call; it is nil if the value cannot be recorded.
func record(name string, tv *TypedValue) recorder.Object {
	if !recorder.In("typed") {
		return nil
	}
	call, named := Recorded(tv)
	if !named {
		return nil
	}
	call["call"] = name
	return call
}

func finish(call recorder.Object, more recorder.Object) {
	if call == nil {
		return
	}
	for name, value := range more {
		call[name] = value
	}
	recorder.Emit(call)
}

func (tv TypedValue) Validate(options ...ValidationOptions) error {
	call := record("validate", &tv)
	err := tv.realValidate(options...)
	finish(call, recorder.Object{"duplicates": len(options) > 0, "error": recorder.Error(err)})
	return err
}

func (tv TypedValue) ToFieldSet() (*fieldpath.Set, error) {
	call := record("fieldSet", &tv)
	out, err := tv.realToFieldSet()
	finish(call, recorder.Object{"out": fieldpath.RecordedSet(out), "error": recorder.Error(err)})
	return out, err
}

func (tv TypedValue) Merge(other *TypedValue) (*TypedValue, error) {
	call, second := record("merge", &tv), plain(other)
	out, err := tv.realMerge(other)
	if other.schema == tv.schema && other.typeRef.Equals(&tv.typeRef) {
		finish(call, recorder.Object{"other": second, "out": plain(out), "error": recorder.Error(err)})
	}
	return out, err
}

func (tv TypedValue) Compare(other *TypedValue) (*Comparison, error) {
	call, second := record("compare", &tv), plain(other)
	out, err := tv.realCompare(other)
	if other.schema == tv.schema && other.typeRef.Equals(&tv.typeRef) {
		more := recorder.Object{"other": second, "error": recorder.Error(err)}
		if out != nil {
			more["removed"] = fieldpath.RecordedSet(out.Removed)
			more["modified"] = fieldpath.RecordedSet(out.Modified)
			more["added"] = fieldpath.RecordedSet(out.Added)
		}
		finish(call, more)
	}
	return out, err
}

func (tv TypedValue) RemoveItems(items *fieldpath.Set) *TypedValue {
	call := record("remove", &tv)
	out := tv.realRemoveItems(items)
	finish(call, recorder.Object{"items": fieldpath.RecordedSet(items), "out": plain(out)})
	return out
}

func (tv TypedValue) ExtractItems(items *fieldpath.Set, options ...ExtractItemsOption) *TypedValue {
	call := record("extract", &tv)
	out := tv.realExtractItems(items, options...)
	finish(call, recorder.Object{"items": fieldpath.RecordedSet(items), "keys": len(options) > 0, "out": plain(out)})
	return out
}

func ReconcileFieldSetWithSchema(set *fieldpath.Set, tv *TypedValue) (*fieldpath.Set, error) {
	call := record("reconcile", tv)
	out, err := realReconcile(set, tv)
	finish(call, recorder.Object{"items": fieldpath.RecordedSet(set), "out": fieldpath.RecordedSet(out), "error": recorder.Error(err)})
	return out, err
}
