//! Objects and lists as the client asked for them: JSON, YAML, Table, metadata alone.

use bytes::{BufMut as _, Bytes, BytesMut};
use jiff::Timestamp;
use kindsmith_schema::table;
use serde_json::{Value, json};

use crate::{
    encode::status::ApiError,
    request::{As, Format, IncludeObject, Pretty, Representation},
    storage::projection::Projection,
};

/// An object of a list: already encoded, or not yet.
pub enum Item {
    /// The object as the cache holds it.
    Encoded(Bytes),
    /// The object as the host gave it.
    Tree(Value),
}

impl Item {
    /// The object as a tree.
    ///
    /// # Errors
    /// When the cache's bytes are no JSON, which is a fault of ours.
    pub fn into_tree(self) -> Result<Value, ApiError> {
        match self {
            Self::Encoded(bytes) => tree(&bytes),
            Self::Tree(value) => Ok(value),
        }
    }
}

/// Bytes of the cache as a tree.
///
/// # Errors
/// When they are no JSON, which is a fault of ours.
pub fn tree(bytes: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| ApiError::Internal(format!("a cached object cannot be read: {error}")))
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
    fn to_value(&self) -> Value {
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

/// The content type of an answer.
#[must_use]
pub fn content_type(representation: &Representation) -> String {
    representation.content_type()
}

fn encode(representation: &Representation, value: &Value) -> Result<Bytes, ApiError> {
    let failed = |error: &dyn std::fmt::Display| ApiError::Internal(format!("the answer cannot be encoded: {error}"));
    match representation.format {
        Format::Json { pretty: Pretty::No } => Ok(Bytes::from(value.to_string())),
        Format::Json { pretty: Pretty::Yes } => {
            let mut text = serde_json::to_vec_pretty(value).map_err(|error| failed(&error))?;
            text.push(b'\n');
            Ok(Bytes::from(text))
        }
        Format::Yaml => serde_saphyr::to_string(value).map(Bytes::from).map_err(|error| failed(&error)),
    }
}

/// `PartialObjectMetadata` of an object.
#[must_use]
pub fn partial(instance: &Value) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": instance.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

fn row(projection: &Projection, instance: &Value, include: IncludeObject, now: Timestamp) -> Value {
    let object = match include {
        IncludeObject::Metadata => Some(partial(instance)),
        IncludeObject::Object => Some(instance.clone()),
        IncludeObject::None => None,
    };
    table::row(&projection.version().columns, instance, object, now)
}

/// One object.
///
/// # Errors
/// When it cannot be encoded, which is a fault of ours.
pub fn object(
    representation: &Representation,
    projection: &Projection,
    instance: &Value,
) -> Result<Bytes, ApiError> {
    encode(representation, &object_tree(representation, projection, instance, TableColumns::Sent))
}

/// Whether a Table tells its columns: on a watch only the first does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableColumns {
    /// It does.
    Sent,
    /// The client has them.
    Known,
}

/// One object as a tree.
#[must_use]
pub fn object_tree(
    representation: &Representation,
    projection: &Projection,
    instance: &Value,
    columns: TableColumns,
) -> Value {
    match representation.as_ {
        As::Object => instance.clone(),
        As::PartialMetadata => partial(instance),
        As::Table { include_object } => {
            let version = instance.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
            let rows = vec![row(projection, instance, include_object, Timestamp::now())];
            let definitions = match columns {
                TableColumns::Sent => table::columns(&projection.version().columns),
                TableColumns::Known => Vec::new(),
            };
            table::table(json!({"resourceVersion": version}), definitions, rows)
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
    let kind = projection.kind();
    let api_version = kind.api_version(&projection.version().name);
    match (representation.as_, representation.format) {
        (As::Object, Format::Json { pretty: Pretty::No }) => {
            // The common case: the bytes of the cache, one after another.
            let mut body = BytesMut::with_capacity(256 + items.len() * 1024);
            body.put_slice(format!("{{\"apiVersion\":{},\"items\":[", json!(api_version)).as_bytes());
            for (index, item) in items.into_iter().enumerate() {
                if index > 0 {
                    body.put_u8(b',');
                }
                match item {
                    Item::Encoded(bytes) => body.put_slice(&bytes),
                    Item::Tree(value) => body.put_slice(value.to_string().as_bytes()),
                }
            }
            let list_kind = json!(kind.names.list_kind);
            body.put_slice(format!("],\"kind\":{list_kind},\"metadata\":{}}}\n", meta.to_value()).as_bytes());
            Ok(body.freeze())
        }
        (As::Object, _) => {
            let items = trees(items)?;
            let list = json!({"apiVersion": api_version, "kind": kind.names.list_kind, "items": items,
                "metadata": meta.to_value()});
            encode(representation, &list)
        }
        (As::PartialMetadata, _) => {
            let items: Vec<Value> = trees(items)?.iter().map(partial).collect();
            let list = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "items": items,
                "metadata": meta.to_value()});
            encode(representation, &list)
        }
        (As::Table { include_object }, _) => {
            let now = Timestamp::now();
            let rows =
                trees(items)?.iter().map(|instance| row(projection, instance, include_object, now)).collect();
            let columns = table::columns(&projection.version().columns);
            encode(representation, &table::table(meta.to_value(), columns, rows))
        }
    }
}

fn trees(items: Vec<Item>) -> Result<Vec<Value>, ApiError> {
    items.into_iter().map(Item::into_tree).collect()
}
