//! Literals, lists, maps and messages.
//!
//! Follows `checkCreateList`, `checkCreateMap` and `checkCreateStruct` of cel-go's `checker/checker.go`. That elements
//! agree is a matter of the validation that comes after. No message can be made: Kubernetes' environment has no type of use for that.

use ::cel::common::ast::{EntryExpr, IdedExpr, ListExpr, LiteralValue, MapExpr};

use super::environment::type_named;
use super::unify::most_general;
use super::walk::Checker;
use crate::types::Type;

/// The type of a literal.
pub(super) fn type_of(value: &LiteralValue) -> Type {
    match value {
        LiteralValue::Boolean(_) => Type::Bool,
        LiteralValue::Bytes(_) => Type::Bytes,
        LiteralValue::Double(_) => Type::Double,
        LiteralValue::Int(_) => Type::Int,
        LiteralValue::Null => Type::Null,
        LiteralValue::String(_) => Type::String,
        LiteralValue::UInt(_) => Type::Uint,
    }
}

impl Checker<'_> {
    pub(super) fn list(&mut self, list: &mut ListExpr) -> Type {
        let mut items = None;
        let mut optional = list.optional_indices.iter().peekable();
        for (index, element) in list.elements.iter_mut().enumerate() {
            let found = if optional.next_if_eq(&&index).is_some() {
                self.optional_element(element)
            } else {
                self.check(element)
            };
            items = Some(self.join(items, found));
        }
        let items = items.unwrap_or_else(|| self.fresh());
        Type::list(items)
    }

    pub(super) fn map(&mut self, map: &mut MapExpr) -> Type {
        let mut keys = None;
        let mut values = None;
        for entry in &mut map.entries {
            let EntryExpr::MapEntry(entry) = &mut entry.expr else { continue };
            let key = self.check(&mut entry.key);
            keys = Some(self.join(keys, key));
            let value =
                if entry.optional { self.optional_element(&mut entry.value) } else { self.check(&mut entry.value) };
            values = Some(self.join(values, value));
        }
        let keys = keys.unwrap_or_else(|| self.fresh());
        let values = values.unwrap_or_else(|| self.fresh());
        Type::map(keys, values)
    }

    /// What an element adds that is left out when it is none.
    fn optional_element(&mut self, element: &mut IdedExpr) -> Type {
        match self.check(element) {
            Type::Optional(value) => (*value).clone(),
            found => {
                if !matches!(found, Type::Dyn) {
                    self.mismatch(element.id, &Type::optional(found.clone()), &found);
                }
                found
            }
        }
    }

    /// The type of elements so far and of one more; `dyn` if they do not agree.
    fn join(&mut self, before: Option<Type>, found: Type) -> Type {
        let Some(before) = before else { return found };
        if self.assignable(&before, &found) {
            return most_general(&before, &found).clone();
        }
        Type::Dyn
    }

    pub(super) fn structure(&mut self, node: u64, name: &str) {
        if type_named(name.strip_prefix('.').unwrap_or(name)).is_none() {
            self.undeclared(node, name);
            return;
        }
        self.report(node, format!("'{name}' is not a message type"));
        self.types.insert(node, Type::Error);
    }
}
