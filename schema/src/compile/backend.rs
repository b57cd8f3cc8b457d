//! What an instance becomes: the backend of a definition, judged and compiled.

use std::sync::LazyLock;

use kindsmith_crds::{Adopt, ApplicationDefinition, Backend, HelmReleaseBackend, Scope};
use regex::Regex;
use serde_json::{Value, json};

use super::{DefinitionNames, Rules, names::is, version::count};
use crate::{
    convert::release::{
        INSTANCE_FIELDS, LABEL_VALUE_BYTES_MAX, OWN_KEY_PREFIX, RELEASE_NAME_BYTES_MAX, ReleaseTemplate, SHOWN_STATUS,
        StatusValue, release_status_schema,
    },
    field::{FieldError, FieldPath},
    kind::{KindBackend, KindNames, KindVersion},
    release_schema::ReleaseSchema,
    structural::object_meta::{ANNOTATIONS_BYTES_MAX, label_faults},
};

/// The most fields of the status that are computed.
const STATUS_FIELDS_MAX: usize = 16;

static RELEASE_PREFIX: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-z0-9][-a-z0-9]*$").ok());
static FIELD_NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-z][A-Za-z0-9]*$").ok());

/// What a backend is judged by.
pub(super) struct Judged<'a> {
    pub(super) definition: &'a ApplicationDefinition,
    pub(super) names: &'a KindNames,
    /// The storage version.
    pub(super) storage: Option<&'a str>,
    pub(super) releases: &'a ReleaseSchema,
}

pub(super) fn compile(judged: &Judged<'_>, at: &FieldPath, errors: &mut Vec<FieldError>) -> Option<KindBackend> {
    let Judged { definition, names, storage, releases } = judged;
    let Backend { helm_release, store } = &definition.spec.backend;
    match (helm_release, store) {
        (Some(settings), None) => {
            let at = at.child("helmRelease");
            check_release(settings, definition.spec.scope, &at, errors);
            let group = &definition.spec.group;
            let template = ReleaseTemplate::new(group, storage.unwrap_or_default(), &names.kind, settings.clone());
            check_labels(&template, &at.child("labels"), errors);
            check_settings(&template, releases, &at, errors);
            for (field, fault) in template.placeholder_faults() {
                errors.push(FieldError::invalid(&at.child(&field), &json!(fault.placeholder), &fault.to_string()));
            }
            for (field, detail) in template.selector_faults() {
                errors.push(FieldError::required(&at.child(&field), detail));
            }
            if template.adopt() == Adopt::Labels && group.len() > LABEL_VALUE_BYTES_MAX {
                let detail = "a group that does not fit into a label cannot be told by labels";
                errors.push(FieldError::forbidden(&at.child("adopt"), detail));
            }
            Some(KindBackend::Release(Box::new(template)))
        }
        (None, Some(_)) => Some(KindBackend::Stored),
        (None, None) => {
            errors.push(FieldError::required(at, "exactly one of helmRelease and store must be set"));
            None
        }
        (Some(_), Some(_)) => {
            errors.push(FieldError::forbidden(at, "exactly one of helmRelease and store must be set"));
            None
        }
    }
}

fn check_release(settings: &HelmReleaseBackend, scope: Scope, at: &FieldPath, errors: &mut Vec<FieldError>) {
    if scope == Scope::Cluster {
        errors.push(FieldError::forbidden(at, "a HelmRelease lives in a namespace: spec.scope must be Namespaced"));
    }
    match (&settings.chart_ref, &settings.chart) {
        (None, None) => errors.push(FieldError::required(at, "exactly one of chartRef and chart must be set")),
        (Some(_), Some(_)) => errors.push(FieldError::forbidden(at, "exactly one of chartRef and chart must be set")),
        _ => {}
    }
    let prefix = &settings.prefix;
    if !prefix.is_empty() && !is(&RELEASE_PREFIX, prefix) {
        errors.push(FieldError::invalid(
            &at.child("prefix"),
            &json!(prefix),
            "must consist of lower case alphanumeric characters or '-', and start with an alphanumeric character",
        ));
    }
    if prefix.len() >= RELEASE_NAME_BYTES_MAX {
        errors.push(FieldError::invalid(
            &at.child("prefix"),
            &json!(prefix),
            &format!("leaves no room for a name: Helm allows {RELEASE_NAME_BYTES_MAX} characters with the prefix"),
        ));
    }
}

/// Whether kube-apiserver takes the labels, and they are nobody else's.
fn check_labels(template: &ReleaseTemplate, at: &FieldPath, errors: &mut Vec<FieldError>) {
    let of_instances = template.metadata_prefix();
    for (key, value) in &template.settings.labels {
        errors.extend(label_faults(key, value, at));
        if key.starts_with(OWN_KEY_PREFIX) {
            let detail = format!("keys that begin with {OWN_KEY_PREFIX:?} are Kindsmith's own");
            errors.push(FieldError::forbidden(&at.key(key), &detail));
        } else if key.starts_with(&of_instances) {
            let detail = format!("keys that begin with {of_instances:?} hold the labels of instances");
            errors.push(FieldError::forbidden(&at.key(key), &detail));
        }
    }
}

/// Whether kube-apiserver takes what the definition sets, as far as it is known before there are instances.
fn check_settings(template: &ReleaseTemplate, releases: &ReleaseSchema, at: &FieldPath, errors: &mut Vec<FieldError>) {
    for (field, reason) in INSTANCE_FIELDS {
        if template.settings.others.contains_key(field) {
            errors.push(FieldError::forbidden(&at.child(field), reason));
        }
    }
    // Which chart there is was looked at already: a rule about it would say it again.
    let of_chart = at.to_string();
    let has_chart_fault = errors.iter().any(|error| error.field == of_chart);
    let faults = releases.faults(&template.shortest_fields(), at).into_iter();
    errors.extend(faults.filter(|fault| fault.field != of_chart || !has_chart_fault));
    if template.settings_bytes() > ANNOTATIONS_BYTES_MAX {
        // Each release remembers them in an annotation.
        errors.push(FieldError::too_long(at, i64::try_from(ANNOTATIONS_BYTES_MAX).unwrap_or(i64::MAX)));
    }
}

/// A release holds `spec` alone: any other field at the root would have no place to be kept.
pub(super) fn check_root_properties(schema: &Value, rules: &Rules, at: &FieldPath, errors: &mut Vec<FieldError>) {
    const KEPT: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    // A form with names of its own has fields of its own, which nobody reads.
    if rules.names == DefinitionNames::Free {
        return;
    }
    for name in properties.keys().filter(|name| !KEPT.contains(&name.as_str())) {
        errors.push(FieldError::forbidden(
            &at.child("properties").key(name),
            "a HelmRelease keeps the fields under spec alone",
        ));
    }
}

/// The status that instances of a release have, with what the definition says of it, and its computed fields.
pub(super) fn add_release_status(schema: &mut Value, backend: Option<&KindBackend>) {
    let Some(root) = schema.as_object_mut() else { return };
    let Some(properties) = root.entry("properties").or_insert_with(|| json!({})).as_object_mut() else { return };
    let mut shown = release_status_schema();
    let status = match properties.get_mut("status") {
        Some(status) => {
            // What Flux reports is shown whether the definition speaks of it or not: clients must know its fields too.
            let declared = status.get_mut("properties").and_then(Value::as_object_mut);
            if let (Some(declared), Some(Value::Object(shown))) = (declared, shown.get_mut("properties")) {
                for (name, field) in std::mem::take(shown) {
                    declared.entry(name).or_insert(field);
                }
            }
            status
        }
        None => properties.entry("status").or_insert(shown),
    };
    let Some(KindBackend::Release(template)) = backend else { return };
    for field in &template.settings.status {
        let Some(properties) = status.pointer_mut("/properties").and_then(Value::as_object_mut) else { return };
        properties.entry(field.name.clone()).or_insert_with(|| json!({"x-kubernetes-preserve-unknown-fields": true}));
    }
}

/// Compiles the fields of the status that are computed, over releases whose values are those of the storage version.
pub(super) fn compile_status(
    template: &mut ReleaseTemplate,
    storage: Option<&KindVersion>,
    at: &FieldPath,
    errors: &mut Vec<FieldError>,
) {
    let fields = &template.settings.status;
    if fields.len() > STATUS_FIELDS_MAX {
        errors.push(FieldError::too_many(at, count(fields.len()), count(STATUS_FIELDS_MAX)));
    }
    let Some(version) = storage.filter(|_| !fields.is_empty()) else { return };
    let mut compiled: Vec<StatusValue> = Vec::new();
    for (index, field) in fields.iter().take(STATUS_FIELDS_MAX).enumerate() {
        let at = at.index(index);
        if !is(&FIELD_NAME, &field.name) {
            let detail = "must begin with a lower case letter and consist of letters and digits";
            errors.push(FieldError::invalid_text(&at.child("name"), &field.name, detail));
        } else if SHOWN_STATUS.contains(&field.name.as_str()) {
            errors.push(FieldError::forbidden(&at.child("name"), "is what Flux or Kindsmith reports"));
        } else if template.usage_fields.contains(&field.name.as_str()) {
            let detail = format!("a version has {}, which is shown there", field.name);
            errors.push(FieldError::forbidden(&at.child("name"), &detail));
        } else if compiled.iter().any(|other| other.name() == field.name) {
            errors.push(FieldError::invalid_text(&at.child("name"), &field.name, "must be unique"));
        }
        match StatusValue::compile(&field.name, &field.expression, &version.schema) {
            Ok(value) => compiled.push(value),
            Err(fault) => errors.push(FieldError::invalid_text(&at.child("expression"), &field.expression, &fault)),
        }
    }
    template.status_values = compiled;
}
