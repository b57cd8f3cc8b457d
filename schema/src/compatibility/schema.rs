//! The walk over an old and a new schema, node by node.

use serde_json::json;

use super::{Break, Change, Hurt};
use crate::field::FieldPath;
use crate::structural::{default_holds, node::Node, node::Type, parse};

/// How many pairs of schemas are compared at most; what is left is reported as not compared.
pub const PAIRS_MAX: usize = 200_000;

/// How many changes are collected at most; more would not be read, and one more tells that there are more.
pub(super) const BREAKS_MAX: usize = 10_000;

/// Compares the schemas of two resources.
pub(super) fn compare(old: &Node, new: &Node) -> Vec<Break> {
    let mut walk = Walk::new();
    let side = Side { level: Level::Resource, pruning: Pruning::Usual };
    walk.node(old, new, Place { old: side, new: side, judged: Judged::Apart });
    walk.found
}

/// Whether a value is a resource, whose `apiVersion`, `kind` and `metadata` are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// It is.
    Resource,
    /// It is not.
    Value,
}

/// What happens to fields that the schema of a value does not name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pruning {
    /// What the schema says.
    Usual,
    /// They are kept: the value is in a list that preserves unknown fields.
    NotHere,
    /// They are kept, and so is everything inside: the value is the metadata of a resource, or in it.
    Never,
}

/// What stands above a value in one of the schemas.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub(super) level: Level,
    pub(super) pruning: Pruning,
}

impl Side {
    /// What stands above the items of a value of this schema.
    fn items(self, schema: &Node, items: &Node) -> Self {
        let pruning = match self.pruning {
            Pruning::Never => Pruning::Never,
            _ if schema.preserves_unknown_fields() => Pruning::NotHere,
            inherited => inherited,
        };
        Self { level: level(items), pruning }
    }

    /// What stands above the field `name`.
    pub(super) fn field(self, name: &str, field: &Node) -> Self {
        let own = self.level == Level::Resource && crate::structural::node::is_meta_field(name);
        let pruning = if own || self.pruning == Pruning::Never { Pruning::Never } else { Pruning::Usual };
        Self { level: level(field), pruning }
    }

    /// Whether unknown fields of a value of this schema are kept.
    pub(super) fn keeps(self, schema: &Node) -> bool {
        schema.preserves_unknown_fields() || self.pruning != Pruning::Usual
    }
}

fn level(schema: &Node) -> Level {
    if schema.extensions.embedded_resource { Level::Resource } else { Level::Value }
}

/// Which rules of the new schema, about values around this one, a new default may break.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// None.
    Apart,
    /// The number of fields of the object.
    Counted,
    /// Rules that look at the whole value: alternatives, enumerations, sets, expressions.
    Whole,
}

/// Where a pair of schemas stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) old: Side,
    pub(super) new: Side,
    pub(super) judged: Judged,
}

/// What was found so far, and where the walk is.
pub(super) struct Walk {
    found: Vec<Break>,
    path: String,
    pairs: usize,
    /// The schemas of `apiVersion` and `kind`, and of `metadata`, where a resource does not name them.
    pub(super) implied: [Node; 2],
}

impl Walk {
    fn new() -> Self {
        let parsed = |schema| parse::parse(&schema, &FieldPath::root()).unwrap_or_default();
        let implied = [
            parsed(json!({"type": "string"})),
            parsed(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})),
        ];
        Self { found: Vec::new(), path: String::new(), pairs: 0, implied }
    }

    /// Reports a change of the value at hand.
    pub(super) fn report(&mut self, change: Change, hurts: Hurt) {
        if self.found.len() < BREAKS_MAX {
            self.found.push(Break { version: None, path: self.path.clone(), change, hurts });
        } else if self.found.len() == BREAKS_MAX {
            self.not_compared();
        }
    }

    fn not_compared(&mut self) {
        self.found.push(Break {
            version: None,
            path: self.path.clone(),
            change: Change::NotCompared,
            hurts: Hurt::Both,
        });
    }

    /// Goes to the field `name` and back.
    pub(super) fn at_field(&mut self, name: &str, look: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        look(self);
        self.path.truncate(length);
    }

    /// Goes to all items or entries and back.
    pub(super) fn at_each(&mut self, look: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str("[*]");
        look(self);
        self.path.truncate(length);
    }

    /// Compares the schemas of one value.
    pub(super) fn node(&mut self, old: &Node, new: &Node, place: Place) {
        self.pairs += 1;
        if self.pairs >= PAIRS_MAX || self.found.len() > BREAKS_MAX {
            if self.pairs == PAIRS_MAX {
                self.not_compared();
            }
            return;
        }
        if !self.types(old, new) {
            return;
        }
        self.keywords(old, new);
        self.defaults(old, new, place.judged);
        if may_be(old, Type::Array) {
            self.lists(old, new, place);
        }
        if may_be(old, Type::Object) {
            self.objects(old, new, place);
        }
    }

    fn defaults(&mut self, old: &Node, new: &Node, judged: Judged) {
        match (&old.default, &new.default) {
            (Some(old), new) if new.as_ref() != Some(old) => {
                self.report(Change::Default { old: (**old).clone(), new: new.as_deref().cloned() }, Hurt::Clients);
            }
            (None, Some(_)) => return self.new_default(new, judged),
            _ => return,
        }
        if new.default.is_some() && !default_holds(new) {
            self.new_default(new, judged);
        }
    }

    /// A default that was not there: it is put into objects that are stored.
    pub(super) fn new_default(&mut self, new: &Node, judged: Judged) {
        if let Some(default) = &new.default
            && (judged != Judged::Apart || !default_holds(new))
        {
            self.report(Change::DefaultMayBreak { new: (**default).clone() }, Hurt::Both);
        }
    }

    fn lists(&mut self, old: &Node, new: &Node, place: Place) {
        if old.preserves_unknown_fields() && !place.new.keeps(new) && !may_be(old, Type::Object) {
            self.report(Change::UnknownFieldsDropped, Hurt::Both);
        }
        match (old.items.as_deref(), new.items.as_deref()) {
            (Some(old_items), Some(new_items)) => {
                let place = Place {
                    old: place.old.items(old, old_items),
                    new: place.new.items(new, new_items),
                    judged: judged_inside(new, place.judged),
                };
                self.at_each(|walk| walk.node(old_items, new_items, place));
            }
            (None, Some(new_items)) if !takes_anything(new_items) => self.report(Change::ItemsJudged, Hurt::Both),
            _ => {}
        }
    }
}

/// Whether some value of the schema is of that type.
pub(super) fn may_be(schema: &Node, kind: Type) -> bool {
    schema.types.is_empty() || schema.types.contains(&kind)
}

/// Whether values of the schema have no parts.
pub(super) fn is_scalar(schema: &Node) -> bool {
    !may_be(schema, Type::Object) && !may_be(schema, Type::Array)
}

/// Whether the schema takes every value and leaves it as it is.
pub(super) fn takes_anything(schema: &Node) -> bool {
    schema.types.is_empty()
        && schema.nullable
        && schema.preserves_unknown_fields()
        && !schema.extensions.embedded_resource
        && schema.extensions.rules.is_empty()
        && schema.format.is_none()
        && schema.default.is_none()
        && schema.pattern.is_none()
        && schema.bounds == Default::default()
        && schema.sizes == Default::default()
        && schema.choices.is_empty()
        && schema.required.is_empty()
        && schema.items.is_none()
        && schema.properties.is_empty()
        && schema.additional.is_none()
        && !has_alternatives(schema)
}

fn has_alternatives(schema: &Node) -> bool {
    !(schema.all_of.is_empty() && schema.any_of.is_empty() && schema.one_of.is_empty()) || schema.not.is_some()
}

/// What judges the parts of a value of `schema`, which is itself judged so.
pub(super) fn judged_inside(schema: &Node, judged: Judged) -> Judged {
    let whole = has_alternatives(schema)
        || !schema.choices.is_empty()
        || !schema.extensions.rules.is_empty()
        || schema.list_type() == "set";
    if whole || judged == Judged::Whole { Judged::Whole } else { Judged::Apart }
}
