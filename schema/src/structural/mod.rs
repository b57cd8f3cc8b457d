//! Structural schemas: what makes one, and what it does to an object.
//!
//! The map, in the order of use:
//!
//! - `parse` → `node`: from JSON to typed keywords, bounded; formats and patterns are compiled here
//! - `invariants`, `checks`, `defaults`: may a resource have this schema
//! - `settle`: what kube-apiserver makes of a checked schema
//! - `prune`: drop what the schema does not know
//! - `default`: drop nulls that may not be, fill in defaults
//! - `fit`: is the object right; if not, `validate` with `numbers`, `outcome`, `ratchet` says what is wrong
//! - `embedded` with `object_meta`, `list_type`: what validation in kube-apiserver does besides; last come the rules
//!   (`cel::rules`)
//!
//! `trail` is where each of these walks stands, `bounds` how far they go. Nothing here does I/O; recursion follows the schema, whose depth is
//! bounded by [`SCHEMA_DEPTH_MAX`], or an object, whose depth the decoder bounds.

mod bounds;
mod checks;
mod compact;
mod default;
mod defaults;
mod embedded;
mod fit;
mod format;
mod invariants;
mod list_type;
pub(crate) mod node;
mod numbers;
pub mod object_meta;
mod outcome;
mod oversize;
pub(crate) mod parse;
mod prune;
pub(crate) mod ratchet;
mod settle;
mod trail;
mod validate;

#[cfg(test)]
mod tests;

use std::io::BufReader;
use std::sync::Arc;

use serde_json::Value;

use crate::cel::rules::{self, Budget, Ratcheting, RuleTree};
use crate::deflate::{self, Effort, Ending};
use crate::field::{FieldError, FieldPath};
use checks::Expressions;
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
    /// As JSON text, deflated: a small part of what the value takes, and rarely read.
    raw: Box<[u8]>,
    root: Node,
    rules: Option<RuleTree>,
}

/// What there is to say about an object.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What is wrong with it.
    pub errors: Vec<FieldError>,
    /// Rules that it breaks as it did before, where nothing changed: worth a warning.
    pub forgiven: Vec<FieldError>,
}

/// Faults of an object that are not its schema's. They are told among those of the schema, and like them may keep rules
/// from running.
#[derive(Clone, Debug, Default)]
pub struct OtherFaults {
    /// Of its metadata: told first.
    pub metadata: Vec<FieldError>,
    /// Of the fields that the scale subresource shows: told after those of values, before those of embedded objects, lists
    /// and rules.
    pub scale: Vec<FieldError>,
}

/// What an object is validated against besides its schema.
#[derive(Clone, Copy, Debug)]
pub enum Against<'a> {
    /// It is new.
    Nothing,
    /// It replaces this one.
    Object(&'a Value),
    /// Its status replaces that of this one.
    Status(&'a Value),
}

impl Schema {
    /// Compiles an `openAPIV3Schema` of a custom resource that stands at the path `at`.
    ///
    /// # Errors
    /// Everything that kube-apiserver would refuse in a CustomResourceDefinition, with its words: what makes the
    /// schema not structural, forbidden keywords, patterns and rules that do not compile, rules that may cost
    /// too much, defaults that are not valid.
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
        let mut rules = None;
        let mut expressions = Expressions::Ignored;
        if expressible {
            let structural = invariants::check(&root, at);
            if structural.is_empty() {
                rules = RuleTree::compile(&root);
                let of_defaults = match dialect {
                    Dialect::CustomResource => defaults::check(&root, rules.as_ref(), at),
                    Dialect::ChartValues => Vec::new(),
                };
                if of_defaults.is_empty() {
                    expressions = Expressions::Compiled;
                }
                errors.extend(of_defaults);
            }
            errors.extend(structural);
        }
        errors.extend(checks::check(&root, at, expressions));
        if errors.is_empty() && !expressible {
            let detail = "OpenAPIV3Schema 'schema' is not supported";
            errors.push(FieldError::invalid_text(at, "", detail));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        match dialect {
            Dialect::CustomResource => settle::settle(&mut root),
            Dialect::ChartValues => open_free_form(&mut root),
        }
        root.note_absent();
        let raw = deflate::blocks(schema.to_string().as_bytes(), Effort::Fast, Ending::Last);
        Ok(Self { inner: Arc::new(Compiled { raw, root, rules }) })
    }

    /// The schema as it was written, made anew from its text: for publishing, not for every request.
    pub fn raw(&self) -> Value {
        serde_json::from_reader(BufReader::new(deflate::reader(&self.inner.raw))).unwrap_or_default()
    }

    /// The compiled form.
    pub(crate) fn root(&self) -> &Node {
        &self.inner.root
    }

    /// Drops the fields that the schema does not know and returns their paths, sorted. `apiVersion`, `kind` and
    /// `metadata` stay as they are, also in embedded resources.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        prune::prune(object, &self.inner.root, prune::Level::Resource)
    }

    /// Makes the resources inside of the object what kube-apiserver takes them for, after pruning: of their metadata it
    /// keeps what it knows. Returns the paths of the other fields of metadata, sorted.
    ///
    /// # Errors
    /// A value of a wrong type in the type or the metadata of a resource: kube-apiserver cannot read such an object.
    pub fn coerce(&self, object: &mut Value) -> Result<Vec<String>, FieldError> {
        default::drop_nulls(object, &self.inner.root);
        embedded::coerce(object, &self.inner.root)
    }

    /// Drops from an object that was stored what the schema does not know, and what cannot be read of the type and the
    /// metadata of resources inside of it: the schema may be another than the one by which the object was written.
    ///
    /// Source: k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go (`unstructuredSchemaCoercer` with
    /// `dropInvalidMetadata`).
    pub fn keep_known(&self, object: &mut Value) {
        prune::prune(object, &self.inner.root, prune::Level::Resource);
        embedded::repair(object, &self.inner.root, prune::Level::Value);
    }

    /// Drops what the schema does not know and one of `others` declares, but the status. What none of them declares stays.
    pub fn drop_declared_by(&self, object: &mut Value, others: &[&Self]) {
        let others: Vec<&Node> = others.iter().map(|other| &other.inner.root).collect();
        prune::drop_declared(object, &self.inner.root, &others);
    }

    /// Drops non-nullable nulls that have no default.
    pub fn drop_nulls(&self, object: &mut Value) {
        default::drop_nulls(object, &self.inner.root);
    }

    /// Drops non-nullable nulls that have no default, and fills in defaults.
    pub fn default(&self, object: &mut Value) {
        default::default(object, &self.inner.root);
    }

    /// Fills in defaults and leaves nulls, as kube-apiserver does with the outcome of a server-side apply.
    pub fn fill_in(&self, object: &mut Value) {
        default::add_defaults(object, &self.inner.root);
    }

    /// A list or a map of which there is far too much, found without looking at all else. None where everything that is
    /// wrong can be told.
    #[must_use]
    pub fn oversize(&self, object: &Value) -> Option<FieldError> {
        oversize::find(&self.inner.root, object, &FieldPath::root())
    }

    /// What is wrong with an object that is created.
    pub fn validate(&self, object: &Value) -> Vec<FieldError> {
        self.judge(object, Against::Nothing, OtherFaults::default()).errors
    }

    /// What is wrong with an object that replaces `old`. What was wrong before and did not change is forgiven.
    pub fn validate_update(&self, object: &Value, old: &Value) -> Vec<FieldError> {
        self.judge(object, Against::Object(old), OtherFaults::default()).errors
    }

    /// What is wrong with an object whose status replaces that of `old`: only the status is validated, as the
    /// status subresource of a custom resource does.
    pub fn validate_status_update(&self, object: &Value, old: &Value) -> Vec<FieldError> {
        self.judge(object, Against::Status(old), OtherFaults::default()).errors
    }

    /// What is wrong with an object, with other faults in the places where kube-apiserver tells them.
    ///
    /// Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource/strategy.go and status_strategy.go.
    pub fn judge(&self, object: &Value, against: Against<'_>, others: OtherFaults) -> Verdict {
        let (root, at) = (&self.inner.root, FieldPath::root());
        let (old, status) = match against {
            Against::Nothing => (None, None),
            Against::Object(old) => (Some(old), None),
            Against::Status(old) => (Some(old), Some(old.get("status"))),
        };
        let mut errors = others.metadata;
        errors.extend(match (status, root.properties.get("status"), object.get("status")) {
            (None, ..) => validate::validate(root, object, old, &at),
            (Some(old), Some(schema), Some(status)) => validate::validate(schema, status, old, &at.child("status")),
            (Some(_), ..) => Vec::new(),
        });
        errors.extend(others.scale);
        if status.is_none() {
            errors.extend(embedded::check(object, root, prune::Level::Value, &at));
        }
        errors.extend(match old {
            Some(old) => self.new_duplicates(object, old),
            None => list_type::duplicates(object, root),
        });
        let forgiven = self.add_rules(object, old, &mut errors);
        Verdict { errors, forgiven }
    }

    /// Adds the rules that the object breaks, all of them also where only its status is validated. They do not run
    /// on objects that would only make them fail (`hasBlockingErr`). Returns those that are forgiven.
    fn add_rules(&self, object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) -> Vec<FieldError> {
        let Some(tree) = &self.inner.rules else { return Vec::new() };
        let at = FieldPath::root();
        if errors.iter().any(|error| error.kind.blocks_rules()) {
            let detail = "some validation rules were not checked because the object was invalid; correct the existing \
                          errors to complete validation";
            errors.push(FieldError::invalid(&at, &Value::Null, detail));
            return Vec::new();
        }
        let root = &self.inner.root;
        let broken = rules::validate(tree, root, object, old, Ratcheting::Forgiving, &at, &mut Budget::default());
        errors.extend(broken.errors);
        broken.forgiven
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

/// Whether the default of `schema`, with the defaults inside of it filled in, is a value of the schema.
pub(crate) fn default_holds(schema: &Node) -> bool {
    let Some(mut value) = schema.default.clone() else { return true };
    default::default(&mut value, schema);
    validate::validate(schema, &value, None, &FieldPath::root()).is_empty()
        && embedded::check(&value, schema, prune::Level::Value, &FieldPath::root()).is_empty()
        && list_type::duplicates(&value, schema).is_empty()
}
