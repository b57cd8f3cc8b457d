//! The types of values: which lists and maps merge, and which are replaced.
//!
//! Follows schema/elements.go of structured-merge-diff. Types live in one table and name each other by their place.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::set::Set;

/// The place of a type in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TypeId(pub(super) usize);

impl TypeId {
    /// No type: no value has it.
    pub(super) const NONE: Self = Self(0);
}

/// What a scalar may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Numeric,
    String,
    Boolean,
    Untyped,
    /// Written in a document of types, and known to nobody.
    Unknown,
}

/// How the elements of a list or map belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relationship {
    /// All of it has one owner.
    Atomic,
    /// Items are told apart by value or by key.
    Associative,
    /// Each entry has its owners.
    Separable,
    /// Nothing is said: entries of a map have owners of their own.
    Unset,
}

#[derive(Debug, Clone)]
pub(super) struct ListType {
    pub(super) element: TypeId,
    pub(super) relationship: Relationship,
    /// Empty for sets.
    pub(super) keys: Vec<Arc<str>>,
}

#[derive(Debug, Clone)]
pub(super) struct FieldType {
    pub(super) id: TypeId,
    pub(super) default: Option<Value>,
}

#[derive(Debug, Clone)]
pub(super) struct MapType {
    pub(super) fields: BTreeMap<Arc<str>, FieldType>,
    /// The type of entries that are no fields.
    pub(super) element: TypeId,
    pub(super) relationship: Relationship,
}

impl MapType {
    /// The type of the entry `name`.
    pub(super) fn entry(&self, name: &str) -> TypeId {
        self.fields.get(name).map_or(self.element, |field| field.id)
    }
}

/// What values of a type may be: any of three kinds.
#[derive(Debug, Clone, Default)]
pub(super) struct Atom {
    /// Absent for types that stand where they are used.
    pub(super) name: Option<String>,
    pub(super) scalar: Option<Scalar>,
    pub(super) list: Option<ListType>,
    pub(super) map: Option<MapType>,
}

/// The kinds of an atom that are left when a value is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kinds {
    Scalar,
    List,
    Map,
    /// The value does not say, or does not fit.
    All,
}

/// The kind as which a value is handled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'t> {
    Map(&'t MapType),
    Scalar(Scalar),
    List(&'t ListType),
}

impl Atom {
    /// What the value makes of the atom (`deduceAtom`).
    pub(super) fn deduce(&self, value: Option<&Value>) -> Kinds {
        let alone = |kind| {
            let count = usize::from(self.scalar.is_some()) + usize::from(self.list.is_some());
            // An atom of one kind is the same whether deduced or not.
            if count + usize::from(self.map.is_some()) == 1 { Kinds::All } else { kind }
        };
        match value {
            Some(Value::Array(_)) if self.list.is_some() => alone(Kinds::List),
            Some(Value::Object(_)) if self.map.is_some() => alone(Kinds::Map),
            Some(Value::Number(_) | Value::String(_) | Value::Bool(_)) if self.scalar.is_some() => alone(Kinds::Scalar),
            _ => Kinds::All,
        }
    }

    /// The kind to handle, maps before scalars before lists; nothing if there is none (`handleAtom`).
    pub(super) fn shape(&self, kinds: Kinds) -> Option<Shape<'_>> {
        let map = self.map.as_ref().filter(|_| matches!(kinds, Kinds::Map | Kinds::All)).map(Shape::Map);
        let scalar = self.scalar.filter(|_| matches!(kinds, Kinds::Scalar | Kinds::All)).map(Shape::Scalar);
        let list = self.list.as_ref().filter(|_| matches!(kinds, Kinds::List | Kinds::All)).map(Shape::List);
        map.or(scalar).or(list)
    }

    /// What to say when there is no kind to handle.
    pub(super) fn invalid(&self) -> String {
        match &self.name {
            Some(name) => format!("schema error: invalid atom: named type: {name}"),
            None => "schema error: invalid atom: inlined".to_owned(),
        }
    }
}

/// The name of the type that holds anything, as one leaf.
pub(super) const UNTYPED: &str = "__untyped_atomic_";

/// The name of the type that holds anything, with maps that merge.
pub(super) const DEDUCED: &str = "__untyped_deduced_";

/// A table of types.
#[derive(Debug, Clone)]
pub(super) struct Types {
    atoms: Vec<Atom>,
}

impl Types {
    pub(super) const UNTYPED: TypeId = TypeId(1);
    pub(super) const DEDUCED: TypeId = TypeId(2);

    /// The types that every table has.
    pub(super) fn new() -> Self {
        let anything = |name: &str, entry: TypeId, relationship| Atom {
            name: Some(name.to_owned()),
            scalar: Some(Scalar::Untyped),
            list: Some(ListType { element: Self::UNTYPED, relationship: Relationship::Atomic, keys: Vec::new() }),
            map: Some(MapType { fields: BTreeMap::new(), element: entry, relationship }),
        };
        let untyped = anything(UNTYPED, Self::UNTYPED, Relationship::Atomic);
        let deduced = anything(DEDUCED, Self::DEDUCED, Relationship::Separable);
        Self { atoms: vec![Atom::default(), untyped, deduced] }
    }

    pub(super) fn add(&mut self, atom: Atom) -> TypeId {
        self.atoms.push(atom);
        TypeId(self.atoms.len() - 1)
    }

    pub(super) fn set(&mut self, id: TypeId, atom: Atom) {
        self.atoms[id.0] = atom;
    }

    pub(super) fn atom(&self, id: TypeId) -> &Atom {
        &self.atoms[id.0]
    }

    /// Whether the type is the deduced one, or stands where it is used and is any scalar.
    pub(super) fn is_deduced(&self, id: TypeId) -> bool {
        let atom = self.atom(id);
        match &atom.name {
            Some(name) => name == DEDUCED,
            None => atom.scalar == Some(Scalar::Untyped),
        }
    }
}

/// The type of the objects of one version of a kind. Immutable, cheap to clone.
#[derive(Debug, Clone)]
pub struct ObjectType {
    pub(super) types: Arc<Types>,
    pub(super) root: TypeId,
}

impl ObjectType {
    pub(super) fn new(types: Types, root: TypeId) -> Self {
        Self { types: Arc::new(types), root }
    }

    /// The set with the fields that the type names and that lead to a path of it.
    #[must_use]
    pub fn with_named_fields(&self, set: &Set) -> Set {
        set.with_named_fields(&self.types, self.root)
    }

    /// The type of objects without a schema: maps merge, lists are replaced.
    pub fn deduced() -> Self {
        static DEDUCED_TYPE: LazyLock<ObjectType> = LazyLock::new(|| ObjectType::new(Types::new(), Types::DEDUCED));
        DEDUCED_TYPE.clone()
    }
}
