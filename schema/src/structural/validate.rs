//! Validating a value: kube-openapi's validators, in their order and with their words.
//!
//! Follows kube-openapi/pkg/validation/validate/*.go and, for updates,
//! apiextensions-apiserver/pkg/apiserver/validation/ratcheting.go. Two deviations: an integer is never a choice that is
//! a string (Go converts 97 to "a"), and both the work and what is reported of it are bounded (see `bounds`).

use serde_json::{Map, Value};

use super::bounds::{WORK_STEPS_MAX, Work};
use super::fit;
use super::node::{Additional, Node, Type};
use super::numbers::{self, Num};
use super::outcome::{Outcome, Report};
use super::ratchet::{Pair, Ratchet};
use super::trail::Trail;
use crate::field::{FieldError, FieldPath};
use kindsmith_text::pattern::Pattern;

/// What is wrong with `value`, reported below `base`. Where there is an old value, what did not change is forgiven.
pub(super) fn validate(schema: &Node, value: &Value, old: Option<&Value>, base: &FieldPath) -> Vec<FieldError> {
    // Most objects have no fault, and there is nothing to be told or forgiven.
    if fit::fits(schema, value) { Vec::new() } else { at_length(schema, value, old, base) }
}

/// As [`validate`], also of a value that has no fault.
pub(super) fn at_length(schema: &Node, value: &Value, old: Option<&Value>, base: &FieldPath) -> Vec<FieldError> {
    run(schema, value, old, base, Subject::Object)
}

/// What is wrong with the default `value` of `schema`, reported below `base`.
pub(super) fn validate_default(schema: &Node, value: &Value, base: &FieldPath) -> Vec<FieldError> {
    run(schema, value, None, base, Subject::Default)
}

fn run(schema: &Node, value: &Value, old: Option<&Value>, base: &FieldPath, subject: Subject) -> Vec<FieldError> {
    let work = Work::default();
    let walk = Walk { report: Report::below(base, &work), work: &work, ratchet: Ratchet::default(), subject };
    let pair = old.map(|old| Pair { old, schema });
    let mut errors = walk.value(schema, value, Trail::Root, pair).into_errors();
    if work.is_spent() {
        let detail = format!("validating it by its schema takes more than {WORK_STEPS_MAX} steps");
        errors.push(FieldError::forbidden(base, &detail));
    }
    errors
}

/// What is validated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Object,
    /// A default: int-or-string does not say which types that are, unless it is spelled out.
    Default,
}

struct Walk<'a> {
    report: Report<'a>,
    work: &'a Work,
    ratchet: Ratchet<'a>,
    subject: Subject,
}

impl<'a> Walk<'a> {
    /// `ratchetingValueValidator`: all checks, forgiven if nothing changed.
    fn value(&self, schema: &Node, value: &Value, trail: Trail<'_>, pair: Option<Pair<'a>>) -> Outcome {
        // What is left is not looked at: the error about the work is there already.
        if !self.work.afford(1) {
            return Outcome::default();
        }
        let mut outcome = self.checks(schema, value, trail, pair);
        if !outcome.is_valid() && pair.is_some_and(|pair| self.ratchet.unchanged(pair, value)) {
            outcome.forgive();
        }
        outcome
    }

    /// `SchemaValidator.Validate`.
    fn checks(&self, schema: &Node, value: &Value, trail: Trail<'_>, pair: Option<Pair<'a>>) -> Outcome {
        let mut outcome = Outcome::default();
        if value.is_null() {
            outcome.merge(self.null(schema, trail));
            outcome.merge(self.choice(schema, value, trail));
            return outcome;
        }
        let mut add = |found: Outcome| {
            outcome.merge(found);
            outcome.matches += 1;
        };
        if self.is_typed(schema) || schema.format.is_some() {
            add(self.types(schema, value, trail));
        }
        add(self.alternatives(schema, value, trail));
        match value {
            Value::String(text) => {
                add(self.string(schema, value, text, trail));
                if schema.format.as_deref().is_some_and(super::format::Format::is_of_strings) {
                    add(self.format(schema, text, trail));
                }
            }
            Value::Number(number) => add(numbers::check(self.report, schema, Num::of(number), trail)),
            Value::Array(items) => add(self.list(schema, items, trail, pair)),
            _ => {}
        }
        add(self.choice(schema, value, trail));
        if let Value::Object(map) = value {
            add(self.object(schema, map, trail, pair));
        }
        outcome.matches += 1;
        outcome
    }

    fn is_typed(&self, schema: &Node) -> bool {
        !schema.types.is_empty() && (self.subject == Subject::Object || !schema.extensions.int_or_string)
    }

    fn null(&self, schema: &Node, trail: Trail<'_>) -> Outcome {
        if !self.is_typed(schema) || schema.nullable {
            return Outcome::passed();
        }
        let mut outcome = Outcome::default();
        self.report.wrong_type(&mut outcome, trail, &type_names(schema), "null");
        outcome
    }

    /// `typeValidator`. An array is accepted where a string with a format is wanted, as kube-apiserver does.
    fn types(&self, schema: &Node, value: &Value, trail: Trail<'_>) -> Outcome {
        let (found, found_format, whole) = match value {
            Value::Number(number) => match Num::of(number) {
                Num::Int(_) => (Type::Integer, "int64", true),
                num @ Num::Float(_) => (Type::Number, "float64", num.is_whole()),
            },
            Value::Bool(_) => (Type::Boolean, "", false),
            Value::String(_) => (Type::String, "", false),
            Value::Array(_) => (Type::Array, "", false),
            Value::Object(_) | Value::Null => (Type::Object, "", false),
        };
        let wants = |kind: Type| schema.types.contains(&kind);
        let fits = wants(found)
            || (found == Type::Number && whole && wants(Type::Integer))
            || (found == Type::Integer && wants(Type::Number));
        let sequence = matches!(found, Type::String | Type::Array);
        let mut outcome = Outcome::default();
        match &schema.format {
            Some(format) if !sequence && !fits && format.text() != found_format => {
                self.report.wrong_type(&mut outcome, trail, format.text(), found_format);
            }
            Some(_) if sequence && !wants(Type::Number) && !wants(Type::Integer) => return Outcome::passed(),
            _ if !fits => self.report.wrong_type(&mut outcome, trail, &type_names(schema), found.name()),
            _ => return Outcome::passed(),
        }
        outcome
    }

    /// `schemaPropsValidator`: alternatives are not ratcheted, and the errors of the nearest one are shown.
    fn alternatives(&self, schema: &Node, value: &Value, trail: Trail<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        if !schema.any_of.is_empty() {
            self.any_of(&mut outcome, schema, value, trail);
        }
        if !schema.one_of.is_empty() {
            self.one_of(&mut outcome, schema, value, trail);
        }
        if !schema.all_of.is_empty() {
            let mut valid = 0;
            for part in &schema.all_of {
                let found = self.value(part, value, trail, None);
                valid += usize::from(found.is_valid());
                outcome.merge(found);
            }
            if valid != schema.all_of.len() {
                let none = if valid == 0 { ". None validated" } else { "" };
                let rule = format!("must validate all the schemas (allOf){none}");
                self.report.alternatives(&mut outcome, trail, &rule);
            }
        }
        if let Some(not) = &schema.not
            && self.value(not, value, trail, None).is_valid()
        {
            self.report.alternatives(&mut outcome, trail, "must not validate the schema (not)");
        }
        outcome.matches += 1;
        outcome
    }

    fn any_of(&self, outcome: &mut Outcome, schema: &Node, value: &Value, trail: Trail<'_>) {
        let mut best: Option<Outcome> = None;
        for part in &schema.any_of {
            let found = self.value(part, value, trail, None);
            if found.is_valid() {
                outcome.merge(found);
                return;
            }
            if best.as_ref().is_none_or(|best| found.matches > best.matches) {
                best = Some(found);
            }
        }
        self.report.alternatives(outcome, trail, "must validate at least one schema (anyOf)");
        outcome.merge(best.unwrap_or_default());
    }

    fn one_of(&self, outcome: &mut Outcome, schema: &Node, value: &Value, trail: Trail<'_>) {
        let mut best: Option<Outcome> = None;
        let mut first: Option<Outcome> = None;
        let mut valid = 0usize;
        for part in &schema.one_of {
            let found = self.value(part, value, trail, None);
            if found.is_valid() {
                valid += 1;
                best = None;
                first.get_or_insert(found);
            } else if valid == 0 && best.as_ref().is_none_or(|best| found.matches > best.matches) {
                best = Some(found);
            }
        }
        if valid == 1 {
            outcome.merge(first.unwrap_or_default());
            return;
        }
        let count =
            if valid == 0 { "Found none valid".to_owned() } else { format!("Found {valid} valid alternatives") };
        let rule = format!("must validate one and only one schema (oneOf). {count}");
        self.report.alternatives(outcome, trail, &rule);
        outcome.merge(best.unwrap_or_default());
    }

    /// `stringValidator`: the first mistake only. Lengths count code points.
    fn string(&self, schema: &Node, value: &Value, text: &str, trail: Trail<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        let sizes = &schema.sizes;
        let length = if sizes.max_length.is_some() || sizes.min_length.is_some() {
            i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
        } else {
            0
        };
        if let Some(max) = sizes.max_length.filter(|max| length > *max) {
            self.report.too_long(&mut outcome, trail, max);
        } else if let Some(min) = sizes.min_length.filter(|min| length < *min) {
            self.report.broken(&mut outcome, trail, value, &format!("should be at least {min} chars long"));
        } else if let Some(pattern) = schema.pattern.as_ref().filter(|pattern| !self.matches(pattern, text)) {
            self.report.broken(&mut outcome, trail, value, &format!("should match '{}'", pattern.text()));
        }
        outcome
    }

    fn matches(&self, pattern: &Pattern, text: &str) -> bool {
        self.work.afford(pattern.steps(text.len())) && pattern.matches(text)
    }

    fn format(&self, schema: &Node, text: &str, trail: Trail<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(format) = schema.format.as_ref().filter(|format| !format.accepts(text)) {
            self.report.wrong_type(&mut outcome, trail, format.text(), text);
        }
        outcome
    }

    fn choice(&self, schema: &Node, value: &Value, trail: Trail<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        if !fit::is_chosen(schema, value, self.work) {
            self.report.no_choice(&mut outcome, trail, value, &schema.choices);
        }
        outcome
    }

    /// `schemaSliceValidator`.
    fn list(&self, schema: &Node, items: &[Value], trail: Trail<'_>, pair: Option<Pair<'a>>) -> Outcome {
        let mut outcome = Outcome::passed();
        if let Some(item_schema) = schema.items.as_deref() {
            for (i, item) in items.iter().enumerate() {
                let pair = pair.and_then(|pair| self.ratchet.item(pair, item));
                outcome.merge(self.value(item_schema, item, Trail::Item(&trail, i), pair));
            }
        }
        let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if let Some(min) = schema.sizes.min_items.filter(|min| size < *min) {
            let rule = format!("should have at least {min} items");
            self.report.broken(&mut outcome, trail, &Value::from(size), &rule);
        }
        if let Some(max) = schema.sizes.max_items.filter(|max| size > *max) {
            self.report.too_many(&mut outcome, trail, size, max, "items");
        }
        outcome
    }

    /// `objectValidator`.
    fn object(&self, schema: &Node, map: &Map<String, Value>, trail: Trail<'_>, pair: Option<Pair<'a>>) -> Outcome {
        let mut outcome = Outcome::default();
        let size = i64::try_from(map.len()).unwrap_or(i64::MAX);
        if let Some(min) = schema.sizes.min_properties.filter(|min| size < *min) {
            let rule = format!("should have at least {min} properties");
            self.report.broken(&mut outcome, trail, &Value::from(size), &rule);
        }
        if let Some(max) = schema.sizes.max_properties.filter(|max| size > *max) {
            self.report.too_many(&mut outcome, trail, size, max, "properties");
        }
        let others = map.iter().filter(|(name, _)| !schema.properties.contains_key(name));
        match &schema.additional {
            Some(Additional::Any(false)) => {
                for (name, _) in others {
                    self.report.not_allowed(&mut outcome, trail, name);
                }
            }
            Some(Additional::Schema(entry)) => {
                for (name, value) in others {
                    let pair = field_pair(pair, name, trail);
                    outcome.merge(self.value(entry, value, Trail::Entry(&trail, name), pair));
                }
            }
            Some(Additional::Any(true)) | None => {}
        }
        // In the order of the names, which is that of the map.
        let mut fields = schema.properties.in_order();
        for (name, value) in map {
            if let Some(field) = fields.get(name) {
                let pair = field_pair(pair, name, trail);
                outcome.merge(self.value(field, value, Trail::Field(&trail, name), pair));
            }
        }
        for name in schema.required.iter().filter(|name| !map.contains_key(*name)) {
            self.report.missing(&mut outcome, trail, name);
        }
        outcome
    }
}

/// The type of the object itself is never ratcheted: both versions were converted to one.
fn field_pair<'a>(pair: Option<Pair<'a>>, name: &str, trail: Trail<'_>) -> Option<Pair<'a>> {
    if matches!(trail, Trail::Root) && matches!(name, "kind" | "apiVersion") {
        return None;
    }
    pair?.field(name)
}

fn type_names(schema: &Node) -> String {
    schema.types.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(",")
}
