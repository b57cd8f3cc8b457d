//! `kubectl get` asks for Tables: the columns and one row for each object, as `meta.k8s.io` has them.
//!
//! Follows `tableconvertor` of apiextensions-apiserver and `asTable` in `apiserver/pkg/endpoints/handlers/response.go`.

use jiff::Timestamp;
use kindsmith_text::print::quoted;
use serde_json::{Map, Value, json};

use crate::column::Column;

/// The description of `metadata.name`.
const NAME_DESCRIPTION: &str = "Name must be unique within a namespace. Is required when creating resources, although \
    some resources may allow a client to request the generation of an appropriate name automatically. Name is \
    primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: \
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

/// Marks the bookmark that ends the initial events of a watch; clients need it in every Table.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// What of its object a row carries: the query parameter `includeObject`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
    /// Nothing.
    None,
}

impl IncludeObject {
    /// Reads the parameter; empty is the default. The error is the message of the 400 that answers it.
    pub fn parse(value: &str) -> Result<Self, String> {
        match value {
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            "None" => Ok(Self::None),
            _ => Err(format!("unrecognized includeObject value: {}", quoted(value))),
        }
    }
}

/// Whether a Table has its column definitions. A watch sends them with its first event only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headers {
    /// It has them.
    Included,
    /// `columnDefinitions` is null.
    Omitted,
}

/// The version of `meta.k8s.io` that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableVersion {
    /// `v1`.
    #[default]
    V1,
    /// `v1beta1`.
    V1beta1,
}

impl TableVersion {
    fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// All columns of a kind, the name first.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    additional: Vec<Column>,
}

impl Columns {
    /// The columns of a definition; the age when it has none.
    pub fn new(additional: Vec<Column>) -> Self {
        Self { additional: if additional.is_empty() { vec![Column::age()] } else { additional } }
    }

    /// The columns as `TableColumnDefinition`s.
    pub fn definitions(&self) -> Vec<Value> {
        let name = json!({
            "name": "Name", "type": "string", "format": "name", "description": NAME_DESCRIPTION, "priority": 0,
        });
        std::iter::once(name).chain(self.additional.iter().map(Column::definition)).collect()
    }

    /// The cells of an object, as many as there are columns.
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let additional = self.additional.iter().map(|column| column.cell(object, now));
        std::iter::once(Value::from(name)).chain(additional).collect()
    }

    /// The row of an object.
    pub fn row(&self, object: &Value, include: IncludeObject, version: TableVersion, now: Timestamp) -> Value {
        let ends_initial_events = || {
            let annotations = object.pointer("/metadata/annotations");
            annotations.and_then(|annotations| annotations.get(INITIAL_EVENTS_END)).is_some_and(|end| end == "true")
        };
        let included = match include {
            IncludeObject::Object => object.clone(),
            IncludeObject::None if !ends_initial_events() => Value::Null,
            IncludeObject::None | IncludeObject::Metadata => json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": version.api_version(),
                "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
            }),
        };
        json!({"cells": self.cells(object, now), "object": included})
    }

    /// A Table of rows. `metadata` is that of the list, or of the one object.
    pub fn table(&self, metadata: &Value, headers: Headers, version: TableVersion, rows: &[Value]) -> Value {
        let list_metadata: Map<String, Value> = ["resourceVersion", "continue", "remainingItemCount"]
            .into_iter()
            .filter_map(|field| Some((field.to_owned(), metadata.get(field)?.clone())))
            .filter(|(_, value)| !value.is_null() && value != "")
            .collect();
        json!({
            "kind": "Table",
            "apiVersion": version.api_version(),
            "metadata": list_metadata,
            "columnDefinitions": match headers {
                Headers::Included => Value::Array(self.definitions()),
                Headers::Omitted => Value::Null,
            },
            "rows": rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Details;

    fn now() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    fn object() -> Value {
        json!({"apiVersion": "apps.example.com/v1", "kind": "Redis", "spec": {"size": "1Gi"},
            "metadata": {"name": "cache", "resourceVersion": "7", "creationTimestamp": "2026-01-01T11:00:00Z"}})
    }

    fn columns() -> Columns {
        Columns::new(vec![
            Column::compile(
                "Size",
                "string",
                Details { description: Some("How large."), ..Details::default() },
                ".spec.size",
            )
            .unwrap(),
        ])
    }

    #[test]
    fn the_name_comes_first_and_the_age_stands_in_for_no_columns() {
        let names = |columns: &Columns| -> Vec<_> {
            columns.definitions().iter().map(|column| column["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&columns()), ["Name", "Size"]);
        assert_eq!(names(&Columns::new(Vec::new())), ["Name", "Age"]);
        assert_eq!(columns().definitions()[0]["format"], "name");
        assert_eq!(Columns::new(Vec::new()).cells(&object(), now()), [json!("cache"), json!("60m")]);
    }

    #[test]
    fn rows_carry_what_was_asked_for() {
        let row = |include| columns().row(&object(), include, TableVersion::V1, now());
        assert_eq!(row(IncludeObject::None), json!({"cells": ["cache", "1Gi"], "object": null}));
        assert_eq!(row(IncludeObject::Object)["object"], object());
        assert_eq!(
            row(IncludeObject::Metadata)["object"],
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object()["metadata"]})
        );
    }

    #[test]
    fn the_end_of_the_initial_events_is_never_hidden() {
        let bookmark = json!({"metadata": {"annotations": {INITIAL_EVENTS_END: "true"}}});
        let row = columns().row(&bookmark, IncludeObject::None, TableVersion::V1, now());
        assert_eq!(row["object"]["metadata"], bookmark["metadata"]);
        assert_eq!(row["cells"], json!(["", null]));
    }

    #[test]
    fn tables_keep_the_metadata_of_lists_only() {
        let columns = columns();
        let metadata = json!({"name": "cache", "resourceVersion": "7", "continue": "", "remainingItemCount": 4});
        let table = columns.table(&metadata, Headers::Omitted, TableVersion::V1beta1, &[]);
        assert_eq!(
            table,
            json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1beta1", "columnDefinitions": null, "rows": [],
                "metadata": {"resourceVersion": "7", "remainingItemCount": 4}})
        );
        let table = columns.table(&json!({}), Headers::Included, TableVersion::V1, &[]);
        assert_eq!(table["columnDefinitions"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn include_object_is_one_of_three() {
        assert_eq!(IncludeObject::parse(""), Ok(IncludeObject::Metadata));
        assert_eq!(IncludeObject::parse("Object"), Ok(IncludeObject::Object));
        assert_eq!(IncludeObject::parse("all"), Err("unrecognized includeObject value: \"all\"".to_owned()));
    }
}
