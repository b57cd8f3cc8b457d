//! The compiled rules of a schema, in the shape of the schema. Schemas without rules inside are left out.
//!
//! Follows `validator` in apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go. Alternatives have no rules:
//! a schema that has some there is not structural.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compile::Expressions;
use super::definition::{Step, inside};
use super::field_path;
use super::rule::Rule;
use crate::cel::declare::{self, Place};
use crate::structural::node::{Additional, Node};
use kindsmith_cel::declared::Declared;
use kindsmith_cel::declared::names::escape;

/// The rules of a schema and of those inside.
#[derive(Debug)]
pub(crate) struct RuleTree {
    /// What rules see of a value.
    pub(super) declared: Arc<Declared>,
    /// The rules of the schema itself.
    pub(super) rules: Vec<CompiledRule>,
    pub(super) items: Option<Box<RuleTree>>,
    pub(super) entries: Option<Box<RuleTree>>,
    pub(super) fields: BTreeMap<String, RuleTree>,
}

/// A rule that can run.
#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) rule: Rule,
    pub(super) expressions: Expressions,
    /// The field that errors are about, below the value.
    pub(super) field: Option<String>,
}

impl RuleTree {
    /// The rules of the schema of a resource, if there are any.
    pub(crate) fn compile(schema: &Node) -> Option<Self> {
        if !has_rules(schema) {
            return None;
        }
        Self::below(schema, &declare::from_schema(schema, Place::Resource)?)
    }

    fn below(schema: &Node, declared: &Arc<Declared>) -> Option<Self> {
        let tree = Self {
            declared: Arc::clone(declared),
            rules: schema.extensions.rules.iter().map(|rule| CompiledRule::new(rule, schema, declared)).collect(),
            items: schema.items.as_deref().and_then(|items| Self::inside(items, declared, Step::Inside)).map(Box::new),
            entries: schema
                .additional
                .as_ref()
                .and_then(Additional::schema)
                .and_then(|entry| Self::inside(entry, declared, Step::Inside))
                .map(Box::new),
            fields: schema
                .properties
                .iter()
                .filter_map(|(name, field)| Some((name.to_owned(), Self::inside(field, declared, Step::Field(name))?)))
                .collect(),
        };
        let empty = tree.rules.is_empty() && tree.items.is_none() && tree.entries.is_none() && tree.fields.is_empty();
        (!empty).then_some(tree)
    }

    fn inside(schema: &Node, around: &Declared, step: Step<'_>) -> Option<Self> {
        if !has_rules(schema) {
            return None;
        }
        match (inside(around, step), step) {
            (Some(declared), _) => Self::below(schema, declared),
            // Rules around a field whose name they cannot write do not see it; its own do.
            (None, Step::Field(name)) if escape(name).is_none() => {
                Self::below(schema, &declare::from_schema(schema, Place::of(schema))?)
            }
            (None, _) => None,
        }
    }

    /// The rules of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        self.fields.get(name)
    }

    /// The rules of each item.
    pub(crate) fn items(&self) -> Option<&Self> {
        self.items.as_deref()
    }
}

impl CompiledRule {
    fn new(rule: &Rule, schema: &Node, declared: &Arc<Declared>) -> Self {
        let path = Some(&rule.field_path).filter(|path| !path.is_empty());
        Self {
            rule: rule.clone(),
            expressions: Expressions::compile(rule, declared),
            field: path.and_then(|path| field_path::resolve(path, schema)).map(|path| path.to_string()),
        }
    }
}

impl CompiledRule {
    /// Whether the rule compares with what was before.
    pub(super) fn uses_old_self(&self) -> bool {
        self.expressions.rule.as_ref().is_ok_and(|rule| rule.uses_old_self)
    }
}

/// Whether the schema or one inside of it has rules (`hasXValidations`).
fn has_rules(schema: &Node) -> bool {
    !schema.extensions.rules.is_empty()
        || schema.items.as_deref().is_some_and(has_rules)
        || schema.additional.as_ref().and_then(Additional::schema).is_some_and(has_rules)
        || schema.properties.values().any(has_rules)
}
