//go:build ignore

package merge

import (
	"encoding/json"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/recorder"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// converter notes what the real one makes of objects.
type converter struct {
	real Converter
	made []any
	// known are the texts of those.
	known map[string]bool
	// objects are what was converted, before and after.
	objects []*typed.TypedValue
	// unnamed is set when an object has a type without a name.
	unnamed bool
}

func (c *converter) Convert(from *typed.TypedValue, version fieldpath.APIVersion) (*typed.TypedValue, error) {
	input, named := recordedValue(from)
	out, err := c.real.Convert(from, version)
	made := recorder.Object{"from": input, "version": string(version), "error": recorder.Error(err)}
	made["missing"] = err != nil && c.real.IsMissingVersionError(err)
	if err == nil {
		var ok bool
		made["out"], ok = recordedValue(out)
		named = named && ok
	}
	c.unnamed = c.unnamed || !named
	text, err2 := json.Marshal(made)
	if err2 != nil {
		panic(err2)
	}
	if !c.known[string(text)] {
		c.known[string(text)] = true
		c.made = append(c.made, made)
		c.objects = append(c.objects, from)
		if err == nil {
			c.objects = append(c.objects, out)
		}
	}
	return out, err
}

// complete converts every object to every version: the reader may need it where Go did not.
func (c *converter) complete(version fieldpath.APIVersion, managers fieldpath.ManagedFields) {
	versions := map[fieldpath.APIVersion]bool{version: true}
	for _, own := range managers {
		versions[own.APIVersion()] = true
	}
	for i := 0; i < len(c.objects) && i < objectsMax; i++ {
		for version := range versions {
			if c.objects[i] != nil {
				_, _ = c.Convert(c.objects[i], version)
			}
		}
	}
}

func (c *converter) IsMissingVersionError(err error) bool { return c.real.IsMissingVersionError(err) }

func recordedValue(tv *typed.TypedValue) (any, bool) {
	if tv == nil {
		return nil, true
	}
	return typed.Recorded(tv)
}

func recordedManagers(managers fieldpath.ManagedFields) any {
	out := recorder.Object{}
	for name, own := range managers {
		out[name] = recorder.Object{"set": fieldpath.RecordedSet(own.Set()), "version": string(own.APIVersion()), "applied": own.Applied()}
	}
	return out
}

// ignored are the fields that nobody can own, if they can be told.
func (s *Updater) ignored() (recorder.Object, bool) {
	out := recorder.Object{}
	for version, set := range s.IgnoredFields {
		out[string(version)] = fieldpath.RecordedSet(set)
	}
	for version, filter := range s.IgnoreFilter {
		set, ok := fieldpath.ExcludedSet(filter)
		if !ok {
			return nil, false
		}
		out[string(version)] = fieldpath.RecordedSet(set)
	}
	return out, true
}

// orders is how often a call is made again to see other orders of versions.
const orders = 20

// objectsMax bounds the objects that are converted for the reader.
const objectsMax = 500

type outcome struct {
	object   *typed.TypedValue
	managers fieldpath.ManagedFields
	err      error
}

func (s *Updater) record(name string, live, sent *typed.TypedValue, version fieldpath.APIVersion, managers fieldpath.ManagedFields, manager string, force bool, real func() outcome) outcome {
	call := recorder.Object{"call": name, "version": string(version), "managers": recordedManagers(managers),
		"manager": manager, "force": force, "input": s.returnInputOnNoop}
	var ok [3]bool
	call["live"], ok[0] = recordedValue(live)
	call["sent"], ok[1] = recordedValue(sent)
	call["ignored"], ok[2] = s.ignored()
	noted := &converter{real: s.Converter, known: map[string]bool{}}
	s.Converter = noted
	out := real()
	for i := 0; i < orders && len(managers) > 1; i++ {
		// Versions are walked in any order, and the reader needs the conversions of its own.
		real()
	}
	noted.complete(version, managers)
	s.Converter = noted.real
	if !ok[0] || !ok[1] || noted.unnamed {
		return out
	}
	if !ok[2] {
		recorder.Emit(recorder.Object{"call": "skipped", "why": "a filter that includes"})
		return out
	}
	call["conversions"] = noted.made
	call["error"] = recorder.Error(out.err)
	if conflicts, are := out.err.(Conflicts); are {
		listed := []any{}
		for _, conflict := range conflicts {
			listed = append(listed, []any{conflict.Manager, conflict.Path.String()})
		}
		call["conflicts"] = listed
	}
	if out.err == nil {
		call["after"] = recordedManagers(out.managers)
		if out.object != nil {
			call["out"], _ = recordedValue(out.object)
		}
	}
	recorder.Emit(call)
	return out
}

func (s *Updater) Update(live, sent *typed.TypedValue, version fieldpath.APIVersion, managers fieldpath.ManagedFields, manager string) (*typed.TypedValue, fieldpath.ManagedFields, error) {
	out := s.record("update", live, sent, version, managers, manager, true, func() outcome {
		object, managers, err := s.realUpdate(live, sent, version, managers, manager)
		return outcome{object, managers, err}
	})
	return out.object, out.managers, out.err
}

func (s *Updater) Apply(live, sent *typed.TypedValue, version fieldpath.APIVersion, managers fieldpath.ManagedFields, manager string, force bool) (*typed.TypedValue, fieldpath.ManagedFields, error) {
	out := s.record("apply", live, sent, version, managers, manager, force, func() outcome {
		object, managers, err := s.realApply(live, sent, version, managers, manager, force)
		return outcome{object, managers, err}
	})
	return out.object, out.managers, out.err
}
