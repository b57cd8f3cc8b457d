//! Objects and lists as the client asked for them: JSON, YAML, Table, metadata alone.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use kindsmith_schema::{
    kind::Kind,
    table::{self, Columns, Headers},
    yaml,
};
use serde_json::{Value, json};

use super::pieces::{Coding, Pieces};
use crate::{
    encode::{protobuf, status::ApiError},
    request::{As, Format, IncludeObject, MetaVersion, Pretty, Representation},
    storage::{cache::Entry, host::tree, projection::Projection},
};

/// An object of a list: already encoded, or not yet.
pub enum Item {
    /// The object as the cache holds it.
    Held(Arc<Entry>),
    /// The object as the host gave it.
    Tree(Value),
}

/// What an object that is not encoded yet takes, roughly.
const TREE_BYTES: usize = 1024;

impl Item {
    /// How much room it takes in a list, with its comma; a guess where it is not encoded yet.
    fn bytes_expected(&self) -> usize {
        match self {
            Self::Held(entry) => entry.json.bytes() + 1,
            Self::Tree(_) => TREE_BYTES,
        }
    }

    /// The object as a tree.
    ///
    /// # Errors
    /// When the cache's bytes are no JSON, which is a fault of ours.
    pub fn into_tree(self) -> Result<Value, ApiError> {
        match self {
            Self::Held(entry) => held_tree(&entry),
            Self::Tree(value) => Ok(value),
        }
    }
}

fn unreadable() -> ApiError {
    ApiError::Internal("a cached object cannot be read".to_owned())
}

/// The JSON of an object of the cache.
///
/// # Errors
/// When it cannot be read, which is a fault of ours.
pub(super) fn held_text(entry: &Entry) -> Result<Bytes, ApiError> {
    entry.json.text().ok_or_else(unreadable)
}

/// An object of the cache as a tree.
///
/// # Errors
/// When it cannot be read, which is a fault of ours.
pub fn held_tree(entry: &Entry) -> Result<Value, ApiError> {
    tree(&held_text(entry)?).ok_or_else(unreadable)
}

/// `metadata` of a list.
#[derive(Clone, Debug, Default)]
pub struct ListMeta {
    /// The revision of the list.
    pub resource_version: String,
    /// The token of the next page.
    pub continue_token: Option<String>,
    /// How many objects follow; unknown with selectors.
    pub remaining: Option<usize>,
}

impl ListMeta {
    /// That of a list of custom resources, which has the token also where no page follows: they are no types of Go, and
    /// nothing leaves it out.
    pub(super) fn of_resources(&self, kind: &Kind) -> Value {
        let mut meta = self.to_value();
        if self.continue_token.is_none() && !kind.group.is_empty() {
            meta["continue"] = json!("");
        }
        meta
    }

    pub(super) fn to_value(&self) -> Value {
        let mut meta = json!({"resourceVersion": self.resource_version});
        if let Some(token) = &self.continue_token {
            meta["continue"] = json!(token);
        }
        if let Some(remaining) = self.remaining {
            meta["remainingItemCount"] = json!(remaining);
        }
        meta
    }
}

/// A value as the client takes it.
///
/// # Errors
/// When it cannot be encoded, which is a fault of ours.
pub(super) fn encode(representation: &Representation, value: &Value) -> Result<Bytes, ApiError> {
    let failed = |error: &dyn std::fmt::Display| ApiError::Internal(format!("the answer cannot be encoded: {error}"));
    match representation.format {
        Format::Json { pretty: Pretty::No } => Ok(Bytes::from(value.to_string())),
        Format::Json { pretty: Pretty::Yes } => {
            let mut text = serde_json::to_vec_pretty(value)
                .map_err(|error| ApiError::Internal(format!("the answer cannot be encoded: {error}")))?;
            text.push(b'\n');
            Ok(Bytes::from(text))
        }
        Format::Yaml => Ok(Bytes::from(yaml::write(value))),
        Format::Protobuf => match protobuf::meta::document(value) {
            Some(bytes) => Ok(Bytes::from(bytes)),
            None => Err(failed(&"it has no protobuf")),
        },
    }
}

/// `PartialObjectMetadata` of an object.
#[must_use]
pub fn partial(instance: &Value, version: MetaVersion) -> Value {
    json!({
        "apiVersion": version.api_version(),
        "kind": "PartialObjectMetadata",
        "metadata": instance.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

/// How a Table is asked for, in the words of the schema crate.
#[derive(Clone, Copy)]
struct TableShape {
    include: table::IncludeObject,
    version: table::TableVersion,
}

impl TableShape {
    fn new(include: IncludeObject, version: MetaVersion) -> Self {
        Self {
            include: match include {
                IncludeObject::Metadata => table::IncludeObject::Metadata,
                IncludeObject::Object => table::IncludeObject::Object,
                IncludeObject::None => table::IncludeObject::None,
            },
            version: match version {
                MetaVersion::V1 => table::TableVersion::V1,
                MetaVersion::V1Beta1 => table::TableVersion::V1beta1,
            },
        }
    }
}

/// One object.
///
/// # Errors
/// When it cannot be encoded, which is a fault of ours.
pub fn object(representation: &Representation, columns: &Columns, instance: &Value) -> Result<Bytes, ApiError> {
    encode(representation, &object_tree(representation, columns, instance, Headers::Included))
}

/// One object of the cache. As plain JSON it goes out as it is.
///
/// # Errors
/// When it cannot be read or encoded otherwise, which is a fault of ours.
pub fn held_object(representation: &Representation, columns: &Columns, entry: &Entry) -> Result<Bytes, ApiError> {
    if representation.is_compact() {
        return held_text(entry);
    }
    object(representation, columns, &held_tree(entry)?)
}

/// One object as a tree. On a watch, only the first Table has headers.
#[must_use]
pub fn object_tree(representation: &Representation, columns: &Columns, instance: &Value, headers: Headers) -> Value {
    match representation.as_ {
        As::Object | As::AggregatedDiscovery => instance.clone(),
        As::PartialMetadata { version } | As::PartialMetadataList { version } => partial(instance, version),
        As::Table { include_object, version } => {
            let shape = TableShape::new(include_object, version);
            let rows = vec![columns.row(instance, shape.include, shape.version, Timestamp::now())];
            let metadata = instance.get("metadata").cloned().unwrap_or_default();
            columns.table(&metadata, headers, shape.version, &rows)
        }
    }
}

/// A list.
///
/// # Errors
/// When it cannot be encoded, which is a fault of ours.
pub fn list(
    representation: &Representation,
    projection: &Projection,
    items: Vec<Item>,
    meta: &ListMeta,
) -> Result<Bytes, ApiError> {
    if representation.is_compact() {
        return Pieces::new(projection, items, meta, Coding::Identity).whole();
    }
    let now = Timestamp::now();
    let items = items.into_iter().map(|item| item_tree(representation, projection, item, now));
    if let (Format::Protobuf, As::PartialMetadata { version } | As::PartialMetadataList { version }) =
        (representation.format, representation.as_)
    {
        return protobuf::meta::list(version.api_version(), &meta.to_value(), items).map(Bytes::from);
    }
    encode(representation, &list_tree(representation, projection, items.collect::<Result<_, _>>()?, meta))
}

/// What stands for an object in a list: itself, its metadata, or a row.
///
/// # Errors
/// When it cannot be read, which is a fault of ours.
pub(super) fn item_tree(
    representation: &Representation,
    projection: &Projection,
    item: Item,
    now: Timestamp,
) -> Result<Value, ApiError> {
    let instance = item.into_tree()?;
    Ok(match representation.as_ {
        As::Object | As::AggregatedDiscovery => instance,
        As::PartialMetadata { version } | As::PartialMetadataList { version } => partial(&instance, version),
        As::Table { include_object, version } => {
            let shape = TableShape::new(include_object, version);
            projection.version().columns.row(&instance, shape.include, shape.version, now)
        }
    })
}

/// A list of what stands for its objects.
pub(super) fn list_tree(
    representation: &Representation,
    projection: &Projection,
    items: Vec<Value>,
    meta: &ListMeta,
) -> Value {
    let kind = projection.kind();
    match representation.as_ {
        As::Object | As::AggregatedDiscovery => json!({"apiVersion": kind.api_version(&projection.version().name),
            "kind": kind.names.list_kind, "items": items, "metadata": meta.of_resources(kind)}),
        As::PartialMetadata { version } | As::PartialMetadataList { version } => {
            // Go writes an empty list that was never made as null, and clients know it so.
            let items = if items.is_empty() { Value::Null } else { Value::Array(items) };
            json!({"apiVersion": version.api_version(), "kind": "PartialObjectMetadataList", "items": items,
                "metadata": meta.to_value()})
        }
        As::Table { include_object, version } => {
            let shape = TableShape::new(include_object, version);
            projection.version().columns.table(&meta.to_value(), Headers::Included, shape.version, &items)
        }
    }
}

/// How many bytes a list of such objects has, roughly.
#[must_use]
pub fn bytes_expected(items: &[Item]) -> usize {
    items.iter().map(Item::bytes_expected).sum()
}
