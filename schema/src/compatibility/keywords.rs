//! The keywords that judge a value by itself.

use serde_json::Value;

use super::schema::{Walk, may_be};
use super::{Change, Hurt, Limit};
use crate::cel::rules::Rule;
use crate::structural::node::{Bounds, Node, Sizes, Type};

/// Integers that floats hold exactly, 2^53.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

impl Walk {
    /// Compares the types; false when no value can be of both.
    pub(super) fn types(&mut self, old: &Node, new: &Node) -> bool {
        let taken = |kind: &Type| may_be(new, *kind) || (*kind == Type::Integer && new.types.contains(&Type::Number));
        if new.types.is_empty() || (!old.types.is_empty() && old.types.iter().all(taken)) {
            return true;
        }
        self.report(Change::Type { old: type_text(old), new: type_text(new) }, Hurt::Both);
        old.types.is_empty() || old.types.iter().any(taken)
    }

    /// Compares what is said about a value of types that both schemas have.
    pub(super) fn keywords(&mut self, old: &Node, new: &Node) {
        // Where the new schema has no type null is valid in lists, but a field that is null is dropped.
        if old.nullable && !new.nullable {
            self.report(Change::NullableRemoved, Hurt::Both);
        }
        self.format(old, new);
        self.choices(old, new);
        if may_be(old, Type::Integer) || may_be(old, Type::Number) {
            self.bounds(&old.bounds, &new.bounds);
        }
        self.sizes(old, new);
        if may_be(old, Type::String)
            && let Some(pattern) = new.pattern.as_ref().map(|pattern| pattern.text())
        {
            let before = old.pattern.as_ref().map(|pattern| pattern.text());
            if before != Some(pattern) {
                let change = Change::Pattern { old: before.map(ToOwned::to_owned), new: pattern.to_owned() };
                self.report(change, Hurt::Both);
            }
        }
        self.extensions(old, new);
        self.alternatives(old, new);
    }

    fn format(&mut self, old: &Node, new: &Node) {
        let Some(format) = new.format.as_ref().map(|format| format.text()) else { return };
        let before = old.format.as_ref().map(|format| format.text());
        if before != Some(format) && !includes(format, before.unwrap_or_default(), old) {
            let change = Change::Format { old: before.map(ToOwned::to_owned), new: format.to_owned() };
            self.report(change, Hurt::Both);
        }
    }

    fn choices(&mut self, old: &Node, new: &Node) {
        if new.choices.is_empty() {
            return;
        }
        if old.choices.is_empty() {
            return self.report(Change::EnumAdded { choices: new.choices.to_vec() }, Hurt::Both);
        }
        let removed: Vec<Value> = old.choices.iter().filter(|choice| !new.choices.contains(choice)).cloned().collect();
        if !removed.is_empty() {
            self.report(Change::EnumNarrowed { removed }, Hurt::Both);
        }
    }

    fn bounds(&mut self, old: &Bounds, new: &Bounds) {
        let max = |bounds: &Bounds| bounds.maximum.map(|max| (max, bounds.exclusive_maximum));
        if let Some((limit, exclusive)) = max(new)
            && max(old).is_none_or(|(old, was)| limit < old || (limit == old && exclusive && !was))
        {
            let named = |(max, exclusive)| if exclusive { Limit::Below(max) } else { Limit::Maximum(max) };
            self.bound(max(old).map(named), named((limit, exclusive)));
        }
        let min = |bounds: &Bounds| bounds.minimum.map(|min| (min, bounds.exclusive_minimum));
        if let Some((limit, exclusive)) = min(new)
            && min(old).is_none_or(|(old, was)| limit > old || (limit == old && exclusive && !was))
        {
            let named = |(min, exclusive)| if exclusive { Limit::Above(min) } else { Limit::Minimum(min) };
            self.bound(min(old).map(named), named((limit, exclusive)));
        }
        if let Some(factor) = new.multiple_of
            && old.multiple_of.is_none_or(|old| !is_multiple(old, factor))
        {
            self.bound(old.multiple_of.map(Limit::MultipleOf), Limit::MultipleOf(factor));
        }
    }

    fn bound(&mut self, old: Option<Limit>, new: Limit) {
        self.report(Change::Bound { old, new }, Hurt::Both);
    }

    fn sizes(&mut self, old: &Node, new: &Node) {
        let (was, is): (&Sizes, &Sizes) = (&old.sizes, &new.sizes);
        let most: [SizeKeyword; 3] = [
            (Type::String, was.max_length, is.max_length, Limit::MaxLength),
            (Type::Array, was.max_items, is.max_items, Limit::MaxItems),
            (Type::Object, was.max_properties, is.max_properties, Limit::MaxProperties),
        ];
        for (kind, was, is, named) in most {
            if let Some(is) = is.filter(|is| may_be(old, kind) && was.is_none_or(|was| *is < was)) {
                self.bound(was.map(named), named(is));
            }
        }
        let least: [SizeKeyword; 3] = [
            (Type::String, was.min_length, is.min_length, Limit::MinLength),
            (Type::Array, was.min_items, is.min_items, Limit::MinItems),
            (Type::Object, was.min_properties, is.min_properties, Limit::MinProperties),
        ];
        for (kind, was, is, named) in least {
            if let Some(is) = is.filter(|is| may_be(old, kind) && *is > was.unwrap_or(0)) {
                self.bound(was.map(named), named(is));
            }
        }
    }

    fn extensions(&mut self, old: &Node, new: &Node) {
        let (was, is) = (&old.extensions, &new.extensions);
        if is.embedded_resource && !was.embedded_resource {
            self.report(Change::EmbeddedResource, Hurt::Both);
        }
        if may_be(old, Type::Array) {
            let (before, now) = (old.list_type(), new.list_type());
            if before != now {
                // Lists whose items need not be unique have lost nothing; who applies them is still surprised.
                let hurts = if now == "atomic" { Hurt::Clients } else { Hurt::Both };
                self.report(Change::ListType { old: before.to_owned(), new: now.to_owned() }, hurts);
            } else if was.list_map_keys != is.list_map_keys {
                let change = Change::ListMapKeys { old: was.list_map_keys.clone(), new: is.list_map_keys.clone() };
                self.report(change, Hurt::Both);
            }
        }
        if may_be(old, Type::Object) {
            let with_default = |map_type: &Option<String>| map_type.clone().unwrap_or_else(|| "granular".to_owned());
            let (before, now) = (with_default(&was.map_type), with_default(&is.map_type));
            if before != now {
                self.report(Change::MapType { old: before, new: now }, Hurt::Clients);
            }
        }
        for rule in &is.rules {
            if !was.rules.iter().any(|before| expression(before) == expression(rule)) {
                self.report(Change::Rule { rule: expression(rule).0.to_owned() }, Hurt::Both);
            }
        }
    }

    fn alternatives(&mut self, old: &Node, new: &Node) {
        if !new.all_of.iter().all(|part| old.all_of.contains(part)) {
            self.report(Change::Alternatives { keyword: "allOf" }, Hurt::Both);
        }
        let more = !old.any_of.is_empty() && old.any_of.iter().all(|part| new.any_of.contains(part));
        if !new.any_of.is_empty() && !more {
            self.report(Change::Alternatives { keyword: "anyOf" }, Hurt::Both);
        }
        if !new.one_of.is_empty() && old.one_of != new.one_of {
            self.report(Change::Alternatives { keyword: "oneOf" }, Hurt::Both);
        }
        if new.not.is_some() && old.not != new.not {
            self.report(Change::Alternatives { keyword: "not" }, Hurt::Both);
        }
    }
}

fn type_text(schema: &Node) -> String {
    match schema.types {
        [] => "any".to_owned(),
        types => types.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" or "),
    }
}

/// A keyword about sizes: the type that it is for, before, now, and how it is reported.
type SizeKeyword = (Type, Option<i64>, Option<i64>, fn(i64) -> Limit);

/// What decides about objects in a rule: the expression, and whether it runs without an old value.
fn expression(rule: &Rule) -> (&str, bool) {
    (rule.rule.trim(), rule.optional_old_self == Some(true))
}

/// Whether each value of the format `old` (empty for none) has the format `new`.
fn includes(new: &str, old: &str, schema: &Node) -> bool {
    let plain = |format: &str| format.replace('-', "");
    match (plain(new).as_str(), plain(old).as_str()) {
        (new, old) if new == old => true,
        ("password", _) => !schema.types.is_empty(),
        ("int64", "" | "int32")
        | ("double", "" | "float")
        | ("uuid", "uuid3" | "uuid4" | "uuid5")
        | ("isbn", "isbn10" | "isbn13") => true,
        _ => false,
    }
}

/// Whether each multiple of `old` is a multiple of `new`. Fractions have no exact form, so only the same one is.
fn is_multiple(old: f64, new: f64) -> bool {
    let whole = |factor: f64| factor.fract() == 0.0 && factor.abs() <= EXACT_INTEGER_MAX && factor > 0.0;
    old.to_bits() == new.to_bits() || (whole(old) && whole(new) && old % new == 0.0)
}
