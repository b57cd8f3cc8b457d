//! Whether the defaults of a schema are values of the schema.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/defaulting/validation.go.

use serde_json::{Value, json};

use super::node::{Node, is_meta_field};
use super::prune::{self, Level};
use super::{embedded, validate};
use crate::cel::rules::{self, Budget, Ratcheting, RuleTree};
use crate::field::{FieldError, FieldPath};

/// What is wrong with the defaults in the schema of a resource, whose rules are `tree`.
pub(super) fn check(schema: &Node, tree: Option<&RuleTree>, at: &FieldPath) -> Vec<FieldError> {
    let mut walk = Walk { errors: Vec::new(), budget: Budget::default() };
    walk.node(schema, Place { resource: schema, inside: None, level: Level::Resource, tree }, at);
    walk.errors
}

/// Where a default stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The schema of the resource that it is a part of.
    resource: &'a Node,
    /// The way from the resource, if it leads through the fields that every resource has.
    inside: Option<Way<'a>>,
    /// Whether the value is a resource.
    level: Level,
    /// The rules of the schema that stands here.
    tree: Option<&'a RuleTree>,
}

/// The way from a resource to a part of it, backwards.
#[derive(Clone, Copy)]
struct Way<'a> {
    before: Option<&'a Way<'a>>,
    /// The field, or nothing for the items of a list.
    field: Option<&'a str>,
}

impl Way<'_> {
    /// The smallest value that has this at the end of the way.
    fn wrapped(self, value: &Value) -> Value {
        let outer = match self.field {
            Some(field) => json!({field: value}),
            None => json!([value]),
        };
        self.before.map_or(outer.clone(), |before| before.wrapped(&outer))
    }
}

struct Walk {
    errors: Vec<FieldError>,
    /// The rules of all defaults share it.
    budget: Budget,
}

impl Walk {
    fn node(&mut self, schema: &Node, place: Place<'_>, at: &FieldPath) {
        if let Some(default) = &schema.default {
            let at = at.child("default");
            let invalid = match place.inside {
                Some(way) => of_metadata(schema, default, way, place.resource, &at),
                None => self.of_value(schema, default, place.level, &at),
            };
            match invalid {
                Some(invalid) => self.errors.extend(invalid),
                None => self.rules(schema, default, place.tree, &at),
            }
        }
        if self.budget.is_exceeded() {
            return;
        }
        // Inside of additionalProperties defaults are not followed, as in kube-apiserver.
        let within = |field| place.inside.as_ref().map(|way| Way { before: Some(way), field });
        if let Some(items) = &schema.items {
            let tree = place.tree.and_then(RuleTree::items);
            self.node(items, Place::of(items, place.resource, within(None), tree), &at.child("items"));
        }
        for (name, field) in &schema.properties {
            if self.budget.is_exceeded() {
                return;
            }
            let is_first = place.level == Level::Resource && is_meta_field(name);
            let inside = if is_first { Some(Way { before: None, field: Some(name) }) } else { within(Some(name)) };
            let tree = place.tree.and_then(|tree| tree.field(name));
            self.node(field, Place::of(field, place.resource, inside, tree), &at.child("properties").key(name));
        }
    }

    /// What keeps the rules from running; unknown fields do not.
    fn of_value(&mut self, schema: &Node, default: &Value, level: Level, at: &FieldPath) -> Option<Vec<FieldError>> {
        let mut pruned = default.clone();
        prune::prune(&mut pruned, schema, level);
        if pruned != *default {
            self.errors.push(FieldError::invalid(at, default, "must not have unknown fields"));
        }
        let inside = embedded::check(default, schema, level, at);
        // kube-apiserver stops at the first type or kind that is no string, before it looks at the rest.
        match inside.iter().find(|error| error.detail.ends_with("must be a string")) {
            Some(first) => some(vec![first.clone()]),
            None => some(inside).or_else(|| some(validate::validate_default(schema, default, at))),
        }
    }

    /// The default must be right where nothing was before, and where it was before.
    fn rules(&mut self, schema: &Node, default: &Value, tree: Option<&RuleTree>, at: &FieldPath) {
        let Some(tree) = tree else { return };
        let run =
            |old, budget: &mut Budget| rules::validate(tree, schema, default, old, Ratcheting::Strict, at, budget);
        let mut budget = self.budget;
        let errors = run(Some(default), &mut budget).errors;
        if errors.is_empty() {
            let mut created = self.budget;
            self.errors.extend(run(None, &mut created).errors);
            budget = budget.least(created);
        }
        self.errors.extend(errors);
        self.budget = budget;
    }
}

/// Of a part of the fields that every resource has: the resource must be one with it.
fn of_metadata(
    schema: &Node,
    default: &Value,
    way: Way<'_>,
    resource: &Node,
    at: &FieldPath,
) -> Option<Vec<FieldError>> {
    let mut whole = json!({"apiVersion": "validation/v1", "kind": "Validation"});
    if let (Some(whole), Value::Object(part)) = (whole.as_object_mut(), way.wrapped(default)) {
        whole.extend(part);
    }
    let found = embedded::check(&whole, resource, Level::Resource, &FieldPath::root());
    let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
    let text = match texts.as_slice() {
        [] => return some(validate::validate_default(schema, default, at)),
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    some(vec![FieldError::invalid(at, default, &format!("must result in valid metadata: {text}"))])
}

fn some(errors: Vec<FieldError>) -> Option<Vec<FieldError>> {
    (!errors.is_empty()).then_some(errors)
}

impl<'a> Place<'a> {
    /// An embedded resource begins anew; else the place is a part of `resource`.
    fn of(schema: &'a Node, resource: &'a Node, inside: Option<Way<'a>>, tree: Option<&'a RuleTree>) -> Self {
        if schema.extensions.embedded_resource {
            Self { resource: schema, inside: None, level: Level::Resource, tree }
        } else {
            Self { resource, inside, level: Level::Value, tree }
        }
    }
}
