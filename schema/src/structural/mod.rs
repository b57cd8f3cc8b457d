//! Structural schemas: what makes one, and what it does to an object.
//!
//! The map, in the order of use:
//!
//! - `parse` → `node`: from JSON to typed keywords, bounded; `format` and `pattern` are compiled here
//! - `invariants`, `checks`, `defaults`: may a resource have this schema
//! - `prune`: drop what the schema does not know
//! - `default`: drop nulls that may not be, fill in defaults
//! - `validate` with `numbers`, `outcome`, `ratchet`: is the object right
//! - `embedded`, `list_type`: what validation in kube-apiserver does besides
//!
//! `trail` is where each of these walks stands. Nothing here does I/O; recursion follows the schema, whose depth is
//! bounded by [`SCHEMA_DEPTH_MAX`], or an object, whose depth the decoder bounds.

mod checks;
mod default;
mod defaults;
mod embedded;
mod format;
mod invariants;
mod list_type;
mod node;
mod numbers;
mod outcome;
mod parse;
mod pattern;
mod prune;
mod ratchet;
mod trail;
mod validate;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

use crate::field::{FieldError, FieldPath};
use node::{Additional, Node};

pub use parse::{SCHEMA_DEPTH_MAX, SCHEMA_NODES_MAX};

/// A compiled structural schema of a resource. Immutable, cheap to clone.
#[derive(Debug, Clone)]
pub struct Schema {
    inner: Arc<Compiled>,
}

/// What a schema was written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A custom resource: kube-apiserver's rules, all of them.
    CustomResource,
    /// The values of a chart, as in Cozystack's definitions. Defaults are taken as written: `{}` is one even where
    /// fields are required that have defaults of their own. Objects that specify no fields may hold any.
    ChartValues,
}

#[derive(Debug)]
struct Compiled {
    raw: Value,
    root: Node,
}

impl Schema {
    /// Compiles an `openAPIV3Schema` of a custom resource that stands at the path `at`.
    ///
    /// # Errors
    /// Everything that kube-apiserver would refuse in a CustomResourceDefinition, with its words: what makes the
    /// schema not structural, forbidden keywords, patterns that do not compile, defaults that are not valid. CEL
    /// expressions are not looked at, see [`Schema::rules`].
    pub fn compile(openapi_v3_schema: &Value, at: &FieldPath) -> Result<Self, Vec<FieldError>> {
        Self::compile_dialect(openapi_v3_schema, at, Dialect::CustomResource)
    }

    /// Compiles a schema that was written for `dialect`.
    ///
    /// # Errors
    /// As [`Schema::compile`], less what the dialect allows.
    pub fn compile_dialect(schema: &Value, at: &FieldPath, dialect: Dialect) -> Result<Self, Vec<FieldError>> {
        let mut root = parse::parse(schema, at)?;
        let mut errors = Vec::new();
        if root.nullable {
            errors.push(FieldError::forbidden(&at.child("nullable"), "nullable cannot be true at the root"));
        }
        let expressible = invariants::is_expressible(&root);
        if expressible {
            let structural = invariants::check(&root, at);
            if structural.is_empty() && dialect == Dialect::CustomResource {
                errors.extend(defaults::check(&root, at));
            }
            errors.extend(structural);
        }
        errors.extend(checks::check(&root, at));
        if errors.is_empty() && !expressible {
            let detail = "OpenAPIV3Schema 'schema' is not supported";
            errors.push(FieldError::invalid_text(at, "", detail));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        if dialect == Dialect::ChartValues {
            open_free_form(&mut root);
        }
        Ok(Self { inner: Arc::new(Compiled { raw: schema.clone(), root }) })
    }

    /// The schema as it was written.
    pub fn raw(&self) -> &Value {
        &self.inner.raw
    }

    /// Where `x-kubernetes-validations` stand, as paths in objects; the object itself is the empty path, items and
    /// entries of maps are `[*]`.
    pub fn rules(&self) -> Vec<String> {
        let mut paths = Vec::new();
        collect_rules(&self.inner.root, "", &mut paths);
        paths
    }

    /// Drops the fields that the schema does not know and returns their paths, sorted. `apiVersion`, `kind` and
    /// `metadata` stay as they are, also in embedded resources.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        prune::prune(object, &self.inner.root, prune::Level::Resource)
    }

    /// Drops non-nullable nulls that have no default, and fills in defaults.
    pub fn default(&self, object: &mut Value) {
        default::default(object, &self.inner.root);
    }

    /// Fills in defaults and leaves nulls, as kube-apiserver does with the outcome of a server-side apply.
    pub fn fill_in(&self, object: &mut Value) {
        default::fill_in(object, &self.inner.root);
    }

    /// What is wrong with an object that is created.
    pub fn validate(&self, object: &Value) -> Vec<FieldError> {
        let root = &self.inner.root;
        let mut errors = validate::validate(root, object, None, &FieldPath::root());
        errors.extend(embedded::check(object, root, &FieldPath::root()));
        errors.extend(list_type::duplicates(object, root));
        errors
    }

    /// What is wrong with an object that replaces `old`. What was wrong before and did not change is forgiven.
    pub fn validate_update(&self, object: &Value, old: &Value) -> Vec<FieldError> {
        let root = &self.inner.root;
        let mut errors = validate::validate(root, object, Some(old), &FieldPath::root());
        errors.extend(embedded::check(object, root, &FieldPath::root()));
        errors.extend(self.new_duplicates(object, old));
        errors
    }

    /// What is wrong with an object whose status replaces that of `old`: only the status is validated, as the
    /// status subresource of a custom resource does.
    pub fn validate_status_update(&self, object: &Value, old: &Value) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let (Some(schema), Some(status)) = (self.inner.root.properties.get("status"), object.get("status")) {
            let at = FieldPath::root().child("status");
            errors = validate::validate(schema, status, old.get("status"), &at);
        }
        errors.extend(self.new_duplicates(object, old));
        errors
    }

    /// Duplicates, unless the old object had some already.
    fn new_duplicates(&self, object: &Value, old: &Value) -> Vec<FieldError> {
        let duplicates = list_type::duplicates(object, &self.inner.root);
        if duplicates.is_empty() || !list_type::duplicates(old, &self.inner.root).is_empty() {
            return Vec::new();
        }
        duplicates
    }
}

/// Lets objects that specify no fields hold any.
fn open_free_form(schema: &mut Node) {
    if schema.type_name == "object" && schema.properties.is_empty() && schema.additional.is_none() {
        schema.extensions.preserve_unknown_fields = Some(true);
    }
    if let Some(Additional::Any(true)) = schema.additional {
        schema.additional = None;
        schema.extensions.preserve_unknown_fields = Some(true);
    }
    if let Some(Additional::Schema(entry)) = &mut schema.additional {
        open_free_form(entry);
    }
    if let Some(items) = &mut schema.items {
        open_free_form(items);
    }
    schema.properties.values_mut().for_each(open_free_form);
}

fn collect_rules(schema: &Node, path: &str, paths: &mut Vec<String>) {
    if !schema.extensions.rules.is_empty() {
        paths.push(path.to_owned());
    }
    let inside = format!("{path}[*]");
    for child in schema.items.as_deref().into_iter().chain(schema.additional.as_ref().and_then(Additional::schema)) {
        collect_rules(child, &inside, paths);
    }
    for (name, field) in &schema.properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect_rules(field, &path, paths);
    }
}
