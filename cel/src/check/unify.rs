//! When one type can stand for another, and what type parameters stand for.
//!
//! Follows cel-go's `checker/types.go` and `checker/mapping.go`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::types::Type;

/// What type parameters stand for, by name.
#[derive(Debug, Default)]
pub(super) struct Mapping {
    known: HashMap<Arc<str>, Type>,
    /// What was known before, for each change of an attempt under way.
    undo: Vec<(Arc<str>, Option<Type>)>,
}

impl Mapping {
    /// A mapping of nothing but these.
    pub(super) fn of(pairs: impl Iterator<Item = (Arc<str>, Type)>) -> Self {
        Self { known: pairs.collect(), undo: Vec::new() }
    }

    fn find(&self, of: &Type) -> Option<&Type> {
        match of {
            Type::Param(name) => self.known.get(name),
            _ => None,
        }
    }

    fn learn(&mut self, name: &Arc<str>, of: Type) {
        let before = self.known.insert(Arc::clone(name), of);
        self.undo.push((Arc::clone(name), before));
    }

    /// Whether each of `given` can stand for its counterpart. If so, what that needs is kept.
    pub(super) fn unify(&mut self, given: &[&Type], wanted: &[&Type]) -> bool {
        let fits = self.all_assignable(given, wanted);
        while let Some((name, before)) = self.undo.pop() {
            match before {
                _ if fits => {}
                Some(before) => drop(self.known.insert(name, before)),
                None => drop(self.known.remove(&name)),
            }
        }
        fits
    }

    fn all_assignable(&mut self, given: &[&Type], wanted: &[&Type]) -> bool {
        given.len() == wanted.len() && given.iter().zip(wanted).all(|(one, other)| self.assignable(one, other))
    }

    fn assignable(&mut self, given: &Type, wanted: &Type) -> bool {
        if let Type::Param(name) = wanted {
            match self.stands_for(given, wanted, name) {
                Substitution::Valid => return true,
                Substitution::Conflicts => return false,
                Substitution::Circular => {}
            }
        }
        if let Type::Param(name) = given {
            return matches!(self.stands_for(wanted, given, name), Substitution::Valid);
        }
        match (given, wanted) {
            (Type::Dyn | Type::Error, _) | (_, Type::Dyn | Type::Error) | (Type::TypeOf(_), Type::TypeOf(_)) => true,
            (Type::Null, other) | (other, Type::Null) => takes_null(other),
            (Type::List(one), Type::List(other)) | (Type::Optional(one), Type::Optional(other)) => {
                self.assignable(one, other)
            }
            (Type::Map(key, value), Type::Map(other_key, other_value)) => {
                self.assignable(key, other_key) && self.assignable(value, other_value)
            }
            _ => same(given, wanted),
        }
    }

    /// Lets the parameter `name` stand for `of`, or for what both agree on.
    fn stands_for(&mut self, of: &Type, parameter: &Type, name: &Arc<str>) -> Substitution {
        if same(of, parameter) {
            return Substitution::Valid;
        }
        if let Some(known) = self.known.get(name).cloned() {
            if same(of, &known) {
                return Substitution::Valid;
            }
            if !self.assignable(of, &known) {
                return Substitution::Conflicts;
            }
            let general = most_general(of, &known).clone();
            if !self.occurs(parameter, &general) {
                self.learn(name, general);
            }
            return Substitution::Valid;
        }
        if self.occurs(parameter, of) {
            return Substitution::Circular;
        }
        self.learn(name, of.clone());
        Substitution::Valid
    }

    /// Whether the parameter is part of `within`.
    fn occurs(&self, parameter: &Type, within: &Type) -> bool {
        if same(parameter, within) {
            return true;
        }
        match within {
            Type::Param(_) => self.find(within).is_some_and(|known| self.occurs(parameter, known)),
            Type::List(inner) | Type::Optional(inner) | Type::TypeOf(inner) => self.occurs(parameter, inner),
            Type::Map(key, value) => self.occurs(parameter, key) || self.occurs(parameter, value),
            _ => false,
        }
    }

    /// The type with what its parameters stand for. Parameters that stand for nothing stay, or become `unbound`.
    pub(super) fn substitute<'a>(&'a self, mut of: &'a Type, unbound: Option<&Type>) -> Type {
        while let Some(known) = self.find(of) {
            of = known;
        }
        match of {
            Type::Param(_) => unbound.unwrap_or(of).clone(),
            Type::List(item) => Type::list(self.substitute(item, unbound)),
            Type::Optional(value) => Type::optional(self.substitute(value, unbound)),
            Type::TypeOf(of) => Type::type_of(self.substitute(of, unbound)),
            Type::Map(key, value) => Type::map(self.substitute(key, unbound), self.substitute(value, unbound)),
            _ => of.clone(),
        }
    }
}

/// What became of letting a parameter stand for a type.
enum Substitution {
    Valid,
    /// It stands for something else.
    Conflicts,
    /// It is part of that type.
    Circular,
}

/// Whether null can stand for the type.
fn takes_null(of: &Type) -> bool {
    matches!(of, Type::Null | Type::Opaque(_) | Type::Optional(_) | Type::Object(_) | Type::Duration | Type::Timestamp)
}

/// Whether the types are exactly the same.
pub(super) fn same(one: &Type, other: &Type) -> bool {
    match (one, other) {
        (Type::List(one), Type::List(other))
        | (Type::Optional(one), Type::Optional(other))
        | (Type::TypeOf(one), Type::TypeOf(other)) => same(one, other),
        (Type::Map(key, value), Type::Map(other_key, other_value)) => same(key, other_key) && same(value, other_value),
        (Type::Param(one), Type::Param(other)) => one == other,
        (Type::Object(one), Type::Object(other)) => one.name == other.name,
        (Type::Opaque(one), Type::Opaque(other)) => one == other,
        _ => std::mem::discriminant(one) == std::mem::discriminant(other) && is_plain(one),
    }
}

fn is_plain(of: &Type) -> bool {
    !matches!(
        of,
        Type::List(_)
            | Type::Map(..)
            | Type::Optional(_)
            | Type::TypeOf(_)
            | Type::Param(_)
            | Type::Object(_)
            | Type::Opaque(_)
    )
}

/// The more general of two types that agree.
pub(super) fn most_general<'a>(one: &'a Type, other: &'a Type) -> &'a Type {
    if less_specific(one, other) { one } else { other }
}

fn less_specific(one: &Type, other: &Type) -> bool {
    match (one, other) {
        (Type::Dyn | Type::Param(_), _) | (Type::TypeOf(_), Type::TypeOf(_)) => true,
        (_, Type::Dyn | Type::Param(_)) => false,
        (Type::List(one), Type::List(other)) | (Type::Optional(one), Type::Optional(other)) => {
            less_specific(one, other)
        }
        (Type::Map(key, value), Type::Map(other_key, other_value)) => {
            less_specific(key, other_key) && less_specific(value, other_value)
        }
        _ => same(one, other),
    }
}
