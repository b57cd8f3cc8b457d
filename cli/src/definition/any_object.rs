//! Fields of a chart whose values become objects of any kind, which Flux applies with the rights that it has: who may set
//! one has those rights. They are found by what templates do with them, and by name where that cannot be seen.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    chart::Chart,
    schema::PRESERVE,
    templates::{self, ANY, Printed, ValuePath},
};

/// What names of such fields begin with.
const FIRST_WORDS: [&str; 11] =
    ["extra", "additional", "custom", "raw", "arbitrary", "other", "more", "user", "k8s", "kubernetes", "dynamic"];

/// What may stand between.
const MIDDLE_WORDS: [&str; 8] = ["", "raw", "k8s", "kubernetes", "kube", "custom", "yaml", "helm"];

/// What they end with.
const LAST_WORDS: [&str; 8] = ["deploy", "object", "objects", "manifest", "manifests", "resource", "resources", "yaml"];

/// Names of which a field of a subchart that is not there has one, most likely.
const OF_SUBCHARTS: [&str; 6] =
    ["extraDeploy", "extraManifests", "extraObjects", "extraResources", "additionalManifests", "rawResources"];

/// How deep names are looked for.
const DEPTH_MAX: usize = 32;

/// The fields of a chart whose values become objects of any kind. `schema` is the chart's own.
pub(super) fn find(chart: &Chart, schema: &Value) -> BTreeSet<ValuePath> {
    let printed = templates::printed(chart);
    let mut search = Search { printed, named: BTreeSet::new(), path: Vec::new() };
    search.schema(schema);
    search.chart(chart);
    let mut found = search.printed.whole;
    found.extend(search.named);
    found
}

struct Search {
    printed: Printed,
    /// Those that are known by their names.
    named: BTreeSet<ValuePath>,
    path: ValuePath,
}

impl Search {
    fn chart(&mut self, chart: &Chart) {
        self.values(&chart.values);
        for subchart in &chart.subcharts {
            for key in chart.keys_of(subchart) {
                self.path.push(key.to_owned());
                self.chart(subchart);
                self.path.pop();
            }
        }
    }

    fn values(&mut self, values: &Value) {
        let is_shallow = self.path.len() < DEPTH_MAX;
        for (name, value) in values.as_object().filter(|_| is_shallow).into_iter().flatten() {
            self.path.push(name.clone());
            if is_name(name) && may_be_objects(value) {
                self.found();
            }
            self.values(value);
            self.path.pop();
        }
    }

    fn schema(&mut self, schema: &Value) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            self.path.push(name.clone());
            let may_be_objects = !matches!(field["type"].as_str(), Some("boolean" | "integer" | "number"))
                && field.pointer("/properties/limits").is_none();
            if is_name(name) && may_be_objects {
                self.found();
            }
            self.schema(field);
            self.path.pop();
        }
    }

    /// The name counts, unless all is seen, and it is seen within objects.
    fn found(&mut self) {
        let is_within = self.printed.within.iter().any(|path| path.starts_with(&self.path));
        if self.printed.is_cut || !is_within {
            self.named.insert(self.path.clone());
        }
    }
}

/// Whether a field with the name has objects, as far as names tell.
fn is_name(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    if matches!(&*name, "manifests" | "rawmanifest") {
        return true;
    }
    let rest = FIRST_WORDS.iter().filter_map(|word| name.strip_prefix(word));
    let middle =
        |rest: &str| LAST_WORDS.iter().filter_map(|word| rest.strip_suffix(word)).any(|it| MIDDLE_WORDS.contains(&it));
    rest.into_iter().any(middle)
}

/// Whether a default could be one of a field for objects: not what containers ask for.
fn may_be_objects(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Number(_) => false,
        Value::Object(members) => {
            members.is_empty() || !members.keys().all(|name| matches!(&**name, "limits" | "requests" | "claims"))
        }
        Value::Null | Value::String(_) | Value::Array(_) => true,
    }
}

/// Leaves a field out of a schema, with what its defaults say of it. Returns whether it was there.
pub(super) fn leave_out(schema: &mut Value, path: &[String]) -> bool {
    let Some(((name, rest), members)) = path.split_first().zip(schema.as_object_mut()) else { return false };
    if let Some(default) = members.get_mut("default") {
        drop_value(default, path);
    }
    for part in members.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
        leave_out(part, path);
    }
    if rest.is_empty() && name != ANY {
        if let Some(required) = members.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|required| *required != json!(name));
        }
        let fields = members.get_mut("properties").and_then(Value::as_object_mut);
        return fields.and_then(|fields| fields.remove(name)).is_some();
    }
    let mut was_there = false;
    for inner in inside(members, name) {
        was_there |= leave_out(inner, rest);
    }
    was_there
}

/// The same for values.
pub(super) fn drop_value(values: &mut Value, path: &[String]) -> bool {
    let Some((name, rest)) = path.split_first() else { return false };
    match values {
        Value::Object(members) if rest.is_empty() => members.remove(name).is_some(),
        Value::Object(members) if name == ANY => dropped_of_any(members.values_mut(), rest),
        Value::Object(members) => members.get_mut(name).is_some_and(|member| drop_value(member, rest)),
        Value::Array(items) if name == ANY => dropped_of_any(items.iter_mut(), rest),
        _ => false,
    }
}

fn dropped_of_any<'v>(values: impl Iterator<Item = &'v mut Value>, path: &[String]) -> bool {
    let mut dropped = false;
    for value in values {
        dropped |= drop_value(value, path);
    }
    dropped
}

/// The schemas inside of one that a value of the name has.
fn inside<'s>(members: &'s mut Map<String, Value>, name: &str) -> Vec<&'s mut Value> {
    let mut found = Vec::new();
    let mut of_others = None;
    let mut is_named = false;
    for (keyword, inner) in members.iter_mut() {
        match keyword.as_str() {
            "properties" => {
                let Some(fields) = inner.as_object_mut() else { continue };
                if name == ANY {
                    found.extend(fields.values_mut());
                } else if let Some(field) = fields.get_mut(name) {
                    is_named = true;
                    found.push(field);
                }
            }
            "items" if name == ANY => found.push(inner),
            "additionalProperties" if inner.is_object() => of_others = Some(inner),
            _ => {}
        }
    }
    found.extend(of_others.filter(|_| !is_named));
    found
}

/// Refuses a field where the schema takes fields that it does not know. Returns whether it would be taken otherwise.
pub(super) fn refuse(schema: &mut Value, path: &[String]) -> bool {
    let Some(((name, rest), members)) = path.split_first().zip(schema.as_object_mut()) else { return false };
    let is_open = members.get(PRESERVE).is_some() || members.contains_key("additionalProperties");
    if rest.is_empty() {
        let is_taken = is_open && name != ANY;
        if is_taken {
            refuse_member(members, name);
        }
        return is_taken;
    }
    let is_known = members.get("properties").is_some_and(|fields| fields.get(name).is_some());
    if members.get(PRESERVE).is_some() && !is_known && name != ANY {
        let fields = members.entry("properties").or_insert_with(|| json!({}));
        if let Some(fields) = fields.as_object_mut() {
            fields.insert(name.clone(), json!({PRESERVE: true, "nullable": true}));
        }
    }
    // Each entry of a map: where fields have names of their own, no more can be said of the others.
    let is_map = members.get("type") == Some(&json!("object")) && !members.contains_key("properties");
    if name == ANY && is_map && members.remove(PRESERVE).is_some() {
        members.entry("additionalProperties").or_insert_with(|| json!({PRESERVE: true, "nullable": true}));
    }
    let mut is_taken = false;
    for inner in inside(members, name) {
        is_taken |= refuse(inner, rest);
    }
    is_taken
}

/// A structural schema has no other word for a field that must not be there, among others of which nothing is known.
fn refuse_member(members: &mut Map<String, Value>, name: &str) {
    let refused = json!({"required": [name]});
    let not = match members.remove("not") {
        None => refused,
        Some(mut held) if held.get("anyOf").is_some() => {
            if let Some(all) = held["anyOf"].as_array_mut().filter(|all| !all.contains(&refused)) {
                all.push(refused);
            }
            held
        }
        Some(held) if held == refused => held,
        Some(held) => json!({"anyOf": [held, refused]}),
    };
    members.insert("not".to_owned(), not);
}

/// Fields that subcharts may have of which the templates are not there.
pub(super) fn of_absent_subcharts(chart: &Chart) -> Vec<ValuePath> {
    let present = chart.subcharts.iter().flat_map(|subchart| chart.keys_of(subchart));
    let present: BTreeSet<&str> = present.collect();
    let absent = chart.dependencies.iter().filter(|dependency| !present.contains(dependency.key.as_str()));
    absent.flat_map(|it| OF_SUBCHARTS.map(|name| vec![it.key.clone(), name.to_owned()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ValuePath {
        text.split('.').map(str::to_owned).collect()
    }

    fn chart(values: Value, template: &str) -> Chart {
        let templates = vec![("templates/a.yaml".to_owned(), template.to_owned())];
        Chart { name: "web".to_owned(), values, templates, ..Chart::default() }
    }

    fn found(chart: &Chart) -> Vec<String> {
        find(chart, &json!({})).iter().map(|path| path.join(".")).collect()
    }

    #[test]
    fn names_say_what_a_field_is_for() {
        for name in [
            "extraDeploy",
            "extraObjects",
            "extraManifests",
            "extraResources",
            "additionalManifests",
            "rawResources",
            "extra-objects",
            "extraK8sObjects",
            "kubernetesManifests",
            "manifests",
            "customResources",
            "EXTRA_MANIFEST",
            "additionalResources",
            "extraKubernetesObjects",
            "extraRawYaml",
        ] {
            assert!(is_name(name), "{name}");
        }
        for name in
            ["extraVolumes", "extraEnv", "resources", "deploy", "extraArgs", "objects", "extra", "userResourcesQuota"]
        {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn names_count_where_templates_do_not_tell() {
        let values = json!({
            "extraDeploy": [], "extraResources": {"limits": {}}, "customResources": true, "a": {"extraManifests": {}}
        });
        assert_eq!(found(&chart(values.clone(), "")), ["a.extraManifests", "extraDeploy"]);
        let within = "kind: Pod\nresources: {{ toYaml .Values.extraDeploy | nindent 2 }}\n";
        assert_eq!(found(&chart(values.clone(), within)), ["a.extraManifests"]);
        let unreadable = format!("{within}{{{{ end }}}}");
        assert_eq!(found(&chart(values, &unreadable)), ["a.extraManifests", "extraDeploy"]);
        let schema = json!({"properties": {"rawResources": {"type": "object"}, "extraObjects": {"type": "boolean"}}});
        assert_eq!(find(&chart(json!({}), ""), &schema), BTreeSet::from([path("rawResources")]));
    }

    #[test]
    fn a_field_goes_with_its_defaults_and_nothing_else_does() {
        let mut schema = json!({
            "required": ["x", "y"], "default": {"x": [1], "y": {"x": 1}},
            "properties": {"x": {"type": "array"}, "y": {"type": "object", "properties": {"x": {}}},
                "parts": {"additionalProperties": {"properties": {"x": {}, "y": {}}}, "default": {"one": {"x": 1, "y": 2}}}}
        });
        assert!(leave_out(&mut schema, &path("x")));
        assert!(leave_out(&mut schema, &path("parts.*.x")));
        assert!(!leave_out(&mut schema, &path("z.x")));
        let wanted = json!({
            "required": ["y"], "default": {"y": {"x": 1}},
            "properties": {"y": {"type": "object", "properties": {"x": {}}},
                "parts": {"additionalProperties": {"properties": {"y": {}}}, "default": {"one": {"y": 2}}}}
        });
        assert_eq!(schema, wanted);
    }

    #[test]
    fn a_field_is_refused_where_any_is_taken() {
        let mut schema = json!({"type": "object", "properties": {
            "open": {"type": "object", PRESERVE: true}, "closed": {"type": "object", "properties": {"a": {"type": "string"}}},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "parts": {"type": "object", PRESERVE: true}
        }});
        for (name, is_taken) in [
            ("open.x", true),
            ("open.y", true),
            ("open.x", true),
            ("open.deep.er.x", true),
            ("closed.x", false),
            ("map.x", true),
            ("parts.*.x", true),
            ("away.x", false),
            ("x", false),
        ] {
            assert_eq!(refuse(&mut schema, &path(name)), is_taken, "{name}");
        }
        let deep = json!({PRESERVE: true, "nullable": true, "properties": {
            "er": {PRESERVE: true, "nullable": true, "not": {"required": ["x"]}}
        }});
        let open = json!({"type": "object", PRESERVE: true, "properties": {"deep": deep},
            "not": {"anyOf": [{"required": ["x"]}, {"required": ["y"]}]}});
        assert_eq!(schema["properties"]["open"], open);
        let part = json!({PRESERVE: true, "nullable": true, "not": {"required": ["x"]}});
        assert_eq!(schema["properties"]["parts"], json!({"type": "object", "additionalProperties": part}));
        assert_eq!(super::super::judge::schema_fault(&schema), None);
    }
}
