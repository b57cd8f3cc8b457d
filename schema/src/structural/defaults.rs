//! Whether the defaults of a schema are values of the schema.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/defaulting/validation.go, without CEL.

use super::node::Node;
use super::prune::{self, Level};
use super::{embedded, validate};
use crate::field::{FieldError, FieldPath};

/// What is wrong with the defaults in `schema`.
pub(super) fn check(schema: &Node, at: &FieldPath) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(schema, at, &mut errors);
    errors
}

fn walk(schema: &Node, at: &FieldPath, errors: &mut Vec<FieldError>) {
    if let Some(default) = &schema.default {
        let at = at.child("default");
        let mut pruned = default.clone();
        let level = if schema.extensions.embedded_resource { Level::Resource } else { Level::Value };
        prune::prune(&mut pruned, schema, level);
        if pruned != *default {
            errors.push(FieldError::invalid(&at, default, "must not have unknown fields"));
        }
        let inside = embedded::check(default, schema, &at);
        if inside.is_empty() {
            errors.extend(validate::validate_default(schema, default, &at));
        }
        // kube-apiserver stops at the first type or kind that is no string, before it looks at the rest.
        match inside.iter().find(|error| error.detail.ends_with("must be a string")) {
            Some(first) => errors.push(first.clone()),
            None => errors.extend(inside),
        }
    }
    // Inside of additionalProperties defaults are not followed, as in kube-apiserver.
    if let Some(items) = &schema.items {
        walk(items, &at.child("items"), errors);
    }
    for (name, field) in &schema.properties {
        walk(field, &at.child("properties").key(name), errors);
    }
}
