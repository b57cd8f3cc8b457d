//! Versions of a definition: schema, subresources, columns and selectable fields of each.

use std::{cmp::Ordering, collections::HashSet, sync::OnceLock};

use kindsmith_crds::Version;
use serde_json::{Value, json};

use super::{Rules, SELECTABLE_FIELDS_MAX, VERSIONS_MAX, backend, names::check_label, usage};
use crate::{
    column::{Column, ColumnError, Details},
    field::{FieldError, FieldPath},
    jsonpath::JsonPath,
    kind::{KindBackend, KindVersion, SelectablePath, Serving, StatusRole, StorageRole},
    priority,
    scale::ScalePaths,
    structural::Schema,
    table::Columns,
};

pub(super) fn storage_version(versions: &[Version], at: &FieldPath, errors: &mut Vec<FieldError>) -> Option<String> {
    let mut seen = HashSet::new();
    if versions.len() > VERSIONS_MAX {
        errors.push(FieldError::too_many(at, count(versions.len()), count(VERSIONS_MAX)));
    }
    for (index, version) in versions.iter().enumerate() {
        let at = at.index(index).child("name");
        check_label(&version.name, &at, errors);
        if !seen.insert(&version.name) {
            errors.push(FieldError::invalid(&at, &json!(version.name), "must be unique"));
        }
    }
    if !versions.iter().any(|version| version.served) {
        errors.push(FieldError::invalid(at, &Value::Null, "must have at least one served version"));
    }
    let mut storage = versions.iter().filter(|version| version.storage);
    let first = storage.next();
    if first.is_none() || storage.next().is_some() {
        errors.push(FieldError::invalid(at, &Value::Null, "must have exactly one version marked as storage version"));
    }
    first.map(|version| version.name.clone())
}

/// What clients of a version are told, if it is deprecated: what the definition says, or which newer version to use.
///
/// Source: k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go (defaultDeprecationWarning).
pub(super) fn deprecation(version: &Version, all: &[Version], group: &str, kind: &str) -> Option<String> {
    if !version.deprecated {
        return None;
    }
    if let Some(text) = &version.deprecation_warning {
        return Some(text.clone());
    }
    let preferred = |other: &&Version| priority::compare(&other.name, &version.name) == Ordering::Less;
    let newest = all
        .iter()
        .filter(|other| other.served && !other.deprecated)
        .filter(preferred)
        .min_by(|left, right| priority::compare(&left.name, &right.name));
    let instead = newest.map(|newest| format!("; use {group}/{} {kind}", newest.name)).unwrap_or_default();
    Some(format!("{group}/{} {kind} is deprecated{instead}", version.name))
}

pub(super) fn compile_version(
    version: &Version,
    deprecation: Option<String>,
    backend: Option<&KindBackend>,
    rules: &Rules,
    at: &FieldPath,
    errors: &mut Vec<FieldError>,
) -> Option<KindVersion> {
    let computed = matches!(backend, Some(KindBackend::Release(_)));
    let mut raw = version.schema.open_api_v3_schema.clone();
    let schema_at = at.child("schema").child("openAPIV3Schema");
    if computed {
        backend::check_root_properties(&raw, rules, &schema_at, errors);
        backend::add_release_status(&mut raw, backend);
        usage::describe(&mut raw, version, backend, at, errors);
    }
    let schema = match Schema::compile_dialect(&raw, &schema_at, rules.dialect) {
        Ok(schema) => Some(schema),
        Err(found) => {
            errors.extend(found);
            None
        }
    };
    let usage = usage::compile(version, schema.as_ref(), backend, at, errors);
    let columns = columns(version, computed, schema.as_ref(), at, errors);
    let selectable_fields = selectable_fields(version, at, errors);
    let subresources = version.subresources.clone().unwrap_or_default();
    let scale_at = at.child("subresources").child("scale");
    let scale = subresources.scale.as_ref().and_then(|scale| ScalePaths::compile(scale, &scale_at, errors));
    if version.deprecation_warning.is_some() && !version.deprecated {
        errors.push(FieldError::invalid(
            &at.child("deprecationWarning"),
            &json!(version.deprecation_warning),
            "can only be set for deprecated versions",
        ));
    }
    let status = match (computed, &subresources.status) {
        (true, _) => StatusRole::Computed,
        (false, Some(_)) => StatusRole::Subresource,
        (false, None) => StatusRole::Field,
    };
    let schema = schema?;
    Some(KindVersion {
        name: version.name.clone(),
        serving: if version.served { Serving::Served } else { Serving::Hidden },
        storage: if version.storage { StorageRole::Storage } else { StorageRole::Converted },
        deprecation,
        merge_type: OnceLock::new(),
        merge_and_more_type: OnceLock::new(),
        schema,
        columns: Columns::new(columns),
        selectable_fields,
        status,
        scale,
        usage,
    })
}

fn columns(
    version: &Version,
    computed: bool,
    schema: Option<&Schema>,
    at: &FieldPath,
    errors: &mut Vec<FieldError>,
) -> Vec<Column> {
    let mut compiled = Vec::new();
    let mut add = |column: Result<Column, Vec<ColumnError>>, at: &FieldPath| match column {
        Ok(column) => compiled.push(column),
        Err(found) => errors.extend(found.into_iter().map(|error| column_error(error, at))),
    };
    for (index, column) in version.additional_printer_columns.iter().enumerate() {
        let at = at.child("additionalPrinterColumns").index(index);
        let details = Details {
            format: column.format.as_deref(),
            description: column.description.as_deref(),
            priority: column.priority,
        };
        match (&column.expression, schema) {
            (Some(_), _) if !column.json_path.is_empty() => {
                let detail = "exactly one of jsonPath and expression must be set".to_owned();
                let value = column.json_path.clone();
                add(Err(vec![ColumnError::Invalid { field: "jsonPath", value, detail }]), &at);
            }
            (Some(expression), Some(schema)) => {
                add(Column::computed(&column.name, &column.kind, details, expression, schema), &at);
            }
            // What is wrong with the schema is told already.
            (Some(_), None) => {}
            (None, _) => add(Column::compile(&column.name, &column.kind, details, &column.json_path), &at),
        }
    }
    if version.additional_printer_columns.is_empty() && computed {
        for (name, kind, path) in [
            ("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status"),
            ("Age", "date", ".metadata.creationTimestamp"),
            ("Version", "string", ".status.version"),
        ] {
            add(Column::compile(name, kind, Details::default(), path), at);
        }
    }
    compiled
}

fn column_error(error: ColumnError, at: &FieldPath) -> FieldError {
    match error {
        ColumnError::Required { field, detail } => FieldError::required(&at.child(field), &detail),
        ColumnError::Invalid { field, value, detail } => FieldError::invalid_text(&at.child(field), &value, &detail),
    }
}

pub(super) fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn selectable_fields(version: &Version, at: &FieldPath, errors: &mut Vec<FieldError>) -> Vec<SelectablePath> {
    let at = at.child("selectableFields");
    if version.selectable_fields.len() > SELECTABLE_FIELDS_MAX {
        errors.push(FieldError::too_many(&at, count(version.selectable_fields.len()), count(SELECTABLE_FIELDS_MAX)));
    }
    let mut compiled = Vec::new();
    for (index, field) in version.selectable_fields.iter().take(SELECTABLE_FIELDS_MAX).enumerate() {
        let at = at.index(index).child("jsonPath");
        let path = &field.json_path;
        let simple = path.starts_with('.') && !path.contains(['[', '*', '{', '?']) && !path.starts_with(".metadata");
        match JsonPath::parse(path) {
            Ok(parsed) if simple => {
                compiled.push(SelectablePath { name: path.trim_start_matches('.').to_owned(), path: parsed });
            }
            Ok(_) => {
                errors.push(FieldError::invalid(&at, &json!(path), "must be a simple field path outside of metadata"))
            }
            Err(error) => errors.push(FieldError::invalid(&at, &json!(path), &format!("is an invalid path: {error}"))),
        }
    }
    compiled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deprecated_version_names_the_newest_that_is_not() {
        let version = |name: &str, served: bool, deprecated: bool, warning: Option<&str>| -> Version {
            serde_json::from_value(json!({"name": name, "served": served, "storage": false, "deprecated": deprecated,
                "deprecationWarning": warning, "schema": {"openAPIV3Schema": {"type": "object"}}}))
            .unwrap()
        };
        let told = |versions: &[Version]| deprecation(&versions[0], versions, "g.example", "Old").unwrap_or_default();
        let old = version("v1beta1", true, true, None);
        let all = [old.clone(), version("v1", true, false, None), version("v2", true, false, None)];
        assert_eq!(told(&all), "g.example/v1beta1 Old is deprecated; use g.example/v2 Old");
        let none = [
            old.clone(),
            version("v1", false, false, None),
            version("v2", true, true, None),
            version("v1alpha1", true, false, None),
        ];
        assert_eq!(told(&none), "g.example/v1beta1 Old is deprecated");
        assert_eq!(told(&[version("v1beta1", true, true, Some("words")), all[1].clone()]), "words");
        assert_eq!(deprecation(&all[1], &all, "g.example", "Old"), None);
    }
}
