//! What texts about an instance see of it: more of its metadata than rules do, and of its status what was there before them.

use std::collections::BTreeMap;
use std::sync::Arc;

use kindsmith_cel::declared::names::escape;
use kindsmith_cel::declared::{Declared, Field, Shape};

use super::{Place, from_schema};
use crate::structural::node::Node;
use crate::structural::object_meta::ANNOTATIONS_BYTES_MAX;

/// The longest name, namespace and uid, in bytes.
const NAME_BYTES_MAX: u64 = 253;

/// The longest value of a label, in bytes.
const LABEL_BYTES_MAX: u64 = 63;

/// What a label or an annotation takes at least: its key and its quotes, in bytes.
const ENTRY_BYTES_MIN: u64 = 6;

/// The longest time, in bytes.
const TIME_BYTES_MAX: u64 = 32;

/// Returns what texts see of instances of the schema `root`, without the fields of the status that are `texts` themselves.
pub(crate) fn of_instance(root: &Node, texts: &[&str]) -> Option<Arc<Declared>> {
    let seen = from_schema(root, Place::Resource)?;
    Some(with(&seen, |name, field| match name {
        "metadata" => Some(metadata()),
        "status" => Some(with(field, |name, field| (!texts.contains(&name)).then(|| Arc::clone(field)))),
        _ => Some(Arc::clone(field)),
    }))
}

/// The same with other fields; itself where it has none.
fn with(declared: &Arc<Declared>, other: impl Fn(&str, &Arc<Declared>) -> Option<Arc<Declared>>) -> Arc<Declared> {
    let Shape::Object { fields } = &declared.shape else { return Arc::clone(declared) };
    let fields = fields.iter().filter_map(|(name, field)| {
        let declared = other(name, &field.declared)?;
        Some((name.clone(), Field { escaped: field.escaped.clone(), declared }))
    });
    Arc::new(Declared { shape: Shape::Object { fields: fields.collect() }, ..**declared })
}

/// The metadata of an instance that its author, its owner or a platform writes.
fn metadata() -> Arc<Declared> {
    let leaf = |shape: Shape, max_elements: u64| {
        Arc::new(Declared { shape, max_elements: Some(max_elements), min_serialized_size: 2, nullable: false })
    };
    let name = || leaf(Shape::String, NAME_BYTES_MAX);
    let texts = |bytes: u64| {
        let most = ANNOTATIONS_BYTES_MAX as u64 / ENTRY_BYTES_MIN;
        leaf(Shape::Map { values: leaf(Shape::String, bytes) }, most)
    };
    let fields = [
        ("name", name()),
        ("namespace", name()),
        ("uid", name()),
        ("generation", leaf(Shape::Int, 0)),
        ("creationTimestamp", leaf(Shape::DateTime, TIME_BYTES_MAX)),
        ("labels", texts(LABEL_BYTES_MAX)),
        ("annotations", texts(ANNOTATIONS_BYTES_MAX as u64)),
    ];
    let field =
        |(name, declared): (&str, Arc<Declared>)| Some((name.to_owned(), Field { escaped: escape(name)?, declared }));
    let fields: BTreeMap<String, Field> = fields.into_iter().filter_map(field).collect();
    leaf(Shape::Object { fields }, 0)
}
