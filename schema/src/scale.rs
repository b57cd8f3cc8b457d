//! The scale subresource: where replicas are in an instance, and the Scale that shows them.
//!
//! Follows `ScaleREST` in apiextensions-apiserver/pkg/registry/customresource/etcd.go, validator.go beside it, and
//! `NestedInt64` in apimachinery/pkg/apis/meta/v1/unstructured/helpers.go, whose texts clients see.

use kindsmith_crds::ScaleSubresource;
use serde_json::{Map, Value, json};

use crate::{
    column::{Column, Details, gofmt},
    field::{FieldError, FieldPath},
    table::Columns,
};

/// `spec.replicas` of a Scale whose instance has none: a patch must set it.
pub const REPLICAS_UNSET: i32 = i32::MIN;

/// A path of fields, compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicasPath {
    source: String,
    fields: Vec<String>,
}

impl ReplicasPath {
    fn new(source: &str) -> Self {
        let fields = source.strip_prefix('.').unwrap_or(source).split('.').map(str::to_owned).collect();
        Self { source: source.to_owned(), fields }
    }

    /// The path as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The fields on the way.
    #[must_use]
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// What is there, if anything is (`NestedFieldNoCopy`).
    fn find<'a>(&self, object: &'a Value) -> Result<Option<&'a Value>, String> {
        let mut value = object;
        for (index, field) in self.fields.iter().enumerate() {
            match value {
                Value::Null => return Ok(None),
                Value::Object(map) => match map.get(field) {
                    Some(inner) => value = inner,
                    None => return Ok(None),
                },
                other => return Err(accessor_error(&self.fields[..=index], other, "map[string]interface {}")),
            }
        }
        Ok(Some(value))
    }

    fn integer(&self, object: &Value) -> Result<Option<i64>, String> {
        let Some(value) = self.find(object)? else { return Ok(None) };
        value.as_i64().map(Some).ok_or_else(|| accessor_error(&self.fields, value, "int64"))
    }

    fn text<'a>(&self, object: &'a Value) -> Result<Option<&'a str>, String> {
        let Some(value) = self.find(object)? else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| accessor_error(&self.fields, value, "string"))
    }

    fn set(&self, object: &mut Value, value: i64) -> Result<(), String> {
        let Some((last, parents)) = self.fields.split_last() else { return Ok(()) };
        let not_a_map = |index: usize| {
            let path = self.fields[..=index].join(".");
            format!("value cannot be set because .{path} is not a map[string]interface{{}}")
        };
        let mut map = object.as_object_mut().ok_or_else(|| not_a_map(0))?;
        for (index, field) in parents.iter().enumerate() {
            let inner = map.entry(field.as_str()).or_insert_with(|| Value::Object(Map::new()));
            map = inner.as_object_mut().ok_or_else(|| not_a_map(index))?;
        }
        map.insert(last.clone(), Value::from(value));
        Ok(())
    }

    /// What is wrong with the number of replicas.
    fn validate(&self, object: &Value) -> Option<FieldError> {
        let at = FieldPath::root().child(&self.source);
        match self.integer(object) {
            Err(error) => Some(FieldError::invalid(&at, &json!(0), &error)),
            Ok(Some(count)) if count < 0 => {
                Some(FieldError::invalid(&at, &json!(count), "should be a non-negative integer"))
            }
            Ok(Some(count)) if count > i64::from(i32::MAX) => {
                let detail = format!("should be less than or equal to {}", i32::MAX);
                Some(FieldError::invalid(&at, &json!(count), &detail))
            }
            Ok(_) => None,
        }
    }
}

/// As Go says that a value is of another type; the path is that of the last field that was looked for.
fn accessor_error(fields: &[String], value: &Value, wanted: &str) -> String {
    let kind = match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    // The expected map is spelled without a blank, the found one is printed by Go with one.
    let wanted = if wanted.starts_with("map") { "map[string]interface{}" } else { wanted };
    format!(".{} accessor error: {} is of the type {kind}, expected {wanted}", fields.join("."), printed(value))
}

/// `%v`. The depth is bounded by that of the object, which was decoded.
fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let mut entries: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", printed(value))).collect();
            entries.sort();
            format!("map[{}]", entries.join(" "))
        }
        scalar => gofmt::print(scalar),
    }
}

/// Where an instance has what its Scale shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    /// The wanted number of replicas.
    pub spec_replicas: ReplicasPath,
    /// The actual number of replicas.
    pub status_replicas: ReplicasPath,
    /// The serialized label selector.
    pub label_selector: Option<ReplicasPath>,
}

impl ScalePaths {
    /// Checks the paths as `ValidateCustomResourceDefinitionSubresources` does.
    pub fn compile(scale: &ScaleSubresource, at: &FieldPath, errors: &mut Vec<FieldError>) -> Option<Self> {
        let before = errors.len();
        let mut compile = |path: &str, field: &str, parents: &[&str], must: &str| {
            let at = at.child(field);
            if !path.starts_with('.') {
                errors.push(FieldError::invalid_text(&at, path, "must be a simple json path starting with ."));
            } else if !parents.iter().any(|parent| path.starts_with(parent)) {
                errors.push(FieldError::invalid_text(&at, path, &format!("should be a json path under {must}")));
            }
            ReplicasPath::new(path)
        };
        let label_selector = scale
            .label_selector_path
            .as_deref()
            .filter(|path| !path.is_empty())
            .map(|path| compile(path, "labelSelectorPath", &[".spec.", ".status."], "either .spec or .status"));
        let mut replicas = |path: &str, field: &str, parent: &str, must: &str| {
            if !path.is_empty() {
                return Some(compile(path, field, &[parent], must));
            }
            None
        };
        let spec_replicas = replicas(&scale.spec_replicas_path, "specReplicasPath", ".spec.", ".spec");
        let status_replicas = replicas(&scale.status_replicas_path, "statusReplicasPath", ".status.", ".status");
        for (found, field) in [(&spec_replicas, "specReplicasPath"), (&status_replicas, "statusReplicasPath")] {
            if found.is_none() {
                errors.push(FieldError::required(&at.child(field), ""));
            }
        }
        (errors.len() == before).then_some(())?;
        Some(Self { spec_replicas: spec_replicas?, status_replicas: status_replicas?, label_selector })
    }

    /// The Scale of an instance, and whether the instance says how many replicas are wanted.
    ///
    /// # Errors
    /// A field is of another type; the text is Kubernetes' own.
    pub fn read(&self, instance: &Value) -> Result<Scale, String> {
        let wanted = self.spec_replicas.integer(instance)?;
        let actual = self.status_replicas.integer(instance)?;
        let selector = match &self.label_selector {
            Some(path) => path.text(instance)?.unwrap_or_default(),
            None => "",
        };
        Ok(Scale {
            replicas: wanted.map(truncated),
            status_replicas: truncated(actual.unwrap_or_default()),
            selector: selector.to_owned(),
        })
    }

    /// Sets the wanted number of replicas.
    ///
    /// # Errors
    /// What should hold the field is no object.
    pub fn set_replicas(&self, instance: &mut Value, replicas: i32) -> Result<(), String> {
        self.spec_replicas.set(instance, i64::from(replicas))
    }

    /// What is wrong with the wanted number of replicas (`ValidateScaleSpec`).
    #[must_use]
    pub fn validate_spec(&self, instance: &Value) -> Vec<FieldError> {
        self.spec_replicas.validate(instance).into_iter().collect()
    }

    /// What is wrong with the actual number of replicas and the selector (`ValidateScaleStatus`).
    #[must_use]
    pub fn validate_status(&self, instance: &Value) -> Vec<FieldError> {
        let mut errors: Vec<FieldError> = self.status_replicas.validate(instance).into_iter().collect();
        if let Some(path) = &self.label_selector
            && let Err(error) = path.text(instance)
        {
            errors.push(FieldError::invalid_text(&FieldPath::root().child(path.source()), "", &error));
        }
        errors
    }
}

/// Go's conversion to 32 bits, which cuts off what does not fit; such numbers are refused when they are written.
#[expect(clippy::cast_possible_truncation, reason = "cutting off is what Go does")]
fn truncated(count: i64) -> i32 {
    count as i32
}

/// What a Scale shows of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The wanted number of replicas, if the instance has one.
    pub replicas: Option<i32>,
    /// The actual number of replicas.
    pub status_replicas: i32,
    /// The serialized label selector.
    pub selector: String,
}

impl Scale {
    /// The `autoscaling/v1` object. Replicas of 0 are left out, as in kube-apiserver.
    #[must_use]
    pub fn object(&self, instance: &Value) -> Value {
        let members = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
        let held = instance.get("metadata");
        let metadata: Map<String, Value> =
            members.into_iter().filter_map(|member| Some((member.to_owned(), held?.get(member)?.clone()))).collect();
        let spec = match self.replicas {
            None | Some(0) => json!({}),
            Some(count) => json!({"replicas": count}),
        };
        let mut status = json!({"replicas": self.status_replicas});
        if !self.selector.is_empty() {
            status["selector"] = json!(self.selector);
        }
        json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
    }
}

/// The columns of a Scale (`getScaleColumnsForVersion` in apiextensions-apiserver/pkg/apiserver/helpers.go).
#[must_use]
pub fn columns() -> Columns {
    let integer = |name, description, path| {
        let details = Details { description: Some(description), ..Details::default() };
        Column::compile(name, "integer", details, path).ok()
    };
    let desired = integer("Desired", "Number of desired replicas", ".spec.replicas");
    let available = integer("Available", "Number of actual replicas", ".status.replicas");
    Columns::new(desired.into_iter().chain(available).chain([Column::age()]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(spec: &str, status: &str, selector: Option<&str>) -> Result<ScalePaths, Vec<String>> {
        let scale = ScaleSubresource {
            spec_replicas_path: spec.to_owned(),
            status_replicas_path: status.to_owned(),
            label_selector_path: selector.map(str::to_owned),
        };
        let mut errors = Vec::new();
        let paths = ScalePaths::compile(&scale, &FieldPath::root().child("scale"), &mut errors);
        paths.ok_or_else(|| errors.iter().map(ToString::to_string).collect())
    }

    fn paths() -> ScalePaths {
        compile(".spec.size.count", ".status.count", Some(".status.selector")).unwrap()
    }

    #[test]
    fn paths_are_checked_in_the_words_of_kube_apiserver() {
        assert_eq!(
            compile("", "", None).unwrap_err(),
            ["scale.specReplicasPath: Required value", "scale.statusReplicasPath: Required value"]
        );
        assert_eq!(
            compile("spec.a", ".spec.a", Some(".metadata.a")).unwrap_err(),
            [
                "scale.labelSelectorPath: Invalid value: \".metadata.a\": should be a json path under either .spec or \
                 .status",
                "scale.specReplicasPath: Invalid value: \"spec.a\": must be a simple json path starting with .",
                "scale.statusReplicasPath: Invalid value: \".spec.a\": should be a json path under .status",
            ]
        );
    }

    #[test]
    fn a_scale_shows_the_replicas_of_its_instance() {
        let instance = json!({
            "metadata": {"name": "a", "namespace": "b", "uid": "c", "resourceVersion": "7", "labels": {"x": "y"}},
            "spec": {"size": {"count": 3}}, "status": {"count": 2, "selector": "app=a"}
        });
        let scale = paths().read(&instance).unwrap();
        assert_eq!(
            scale.object(&instance),
            json!({
                "kind": "Scale", "apiVersion": "autoscaling/v1",
                "metadata": {"name": "a", "namespace": "b", "uid": "c", "resourceVersion": "7"},
                "spec": {"replicas": 3}, "status": {"replicas": 2, "selector": "app=a"}
            })
        );
        let none = paths().read(&json!({"spec": {}})).unwrap();
        assert_eq!(none.replicas, None);
        assert_eq!(none.object(&json!({}))["status"], json!({"replicas": 0}));
    }

    #[test]
    fn what_is_of_another_type_is_told_as_go_tells_it() {
        let error = |instance: Value| paths().read(&instance).unwrap_err();
        assert_eq!(
            error(json!({"spec": {"size": {"count": 1.5}}})),
            ".spec.size.count accessor error: 1.5 is of the type float64, expected int64"
        );
        assert_eq!(
            error(json!({"spec": {"size": [1, "a"]}})),
            ".spec.size.count accessor error: [1 a] is of the type []interface {}, expected map[string]interface{}"
        );
        assert_eq!(
            error(json!({"spec": {"size": {"count": null}}})),
            ".spec.size.count accessor error: <nil> is of the type <nil>, expected int64"
        );
        assert_eq!(
            error(json!({"status": {"selector": {"b": true, "a": {}}}})),
            ".status.selector accessor error: map[a:map[] b:true] is of the type map[string]interface {}, expected string"
        );
    }

    #[test]
    fn replicas_are_set_where_the_path_says() {
        let mut instance = json!({"spec": {"other": 1}});
        paths().set_replicas(&mut instance, 4).unwrap();
        assert_eq!(instance, json!({"spec": {"other": 1, "size": {"count": 4}}}));
        let error = paths().set_replicas(&mut json!({"spec": {"size": "x"}}), 4).unwrap_err();
        assert_eq!(error, "value cannot be set because .spec.size is not a map[string]interface{}");
    }

    #[test]
    fn negative_and_large_numbers_are_refused() {
        let texts = |instance: Value| {
            let errors = paths().validate_spec(&instance).into_iter().chain(paths().validate_status(&instance));
            errors.map(|error| error.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            texts(json!({"spec": {"size": {"count": -1}}, "status": {"count": 3_000_000_000_i64, "selector": 1}})),
            [
                ".spec.size.count: Invalid value: -1: should be a non-negative integer",
                ".status.count: Invalid value: 3000000000: should be less than or equal to 2147483647",
                ".status.selector: Invalid value: \"\": .status.selector accessor error: 1 is of the type int64, \
                 expected string",
            ]
        );
        assert_eq!(texts(json!({"spec": {"size": {"count": 0}}})), Vec::<String>::new());
    }
}
