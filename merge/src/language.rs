//! Types in the language of structured-merge-diff, as its test data is written.
//!
//! Follows schema/{elements,schemaschema}.go; the document is given as JSON.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::types::{
    Atom, DEDUCED, FieldType, ListType, MapType, ObjectType, Relationship, Scalar, TypeId, Types, UNTYPED,
};

/// How deep types may be written inside each other.
const TYPE_DEPTH_MAX: usize = 64;

/// Why a document holds no types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LanguageError(String);

impl ObjectType {
    /// The type `name` of a document of types.
    ///
    /// # Errors
    /// The document is none, or names a type that it does not have.
    pub fn of_document(document: &Value, name: &str) -> Result<Self, LanguageError> {
        let mut reader = Reader { types: Types::new(), named: HashMap::new(), overridden: HashMap::new() };
        let definitions = document.get("types").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for definition in definitions {
            if let Some(name) = definition.get("name").and_then(Value::as_str) {
                let id = reader.types.add(Atom::default());
                reader.named.insert(name.to_owned(), id);
            }
        }
        for definition in definitions {
            let Some(name) = definition.get("name").and_then(Value::as_str) else { continue };
            let atom = reader.atom(definition, 0)?;
            let id = reader.named(name)?;
            reader.types.set(id, Atom { name: Some(name.to_owned()), ..atom });
        }
        for (id, name, relationship) in reader.overridden.values() {
            let mut atom = reader.types.atom(*name).clone();
            let shown = atom.name.clone().unwrap_or_default();
            override_with(&mut atom, *relationship, &shown)?;
            reader.types.set(*id, atom);
        }
        let root = reader.named(name)?;
        Ok(Self::new(reader.types, root))
    }
}

struct Reader {
    types: Types,
    named: HashMap<String, TypeId>,
    /// Named types with another relationship where they are used: the new type, the named one, the relationship.
    overridden: HashMap<String, (TypeId, TypeId, Relationship)>,
}

impl Reader {
    fn named(&self, name: &str) -> Result<TypeId, LanguageError> {
        let common = match name {
            UNTYPED => Some(Types::UNTYPED),
            DEDUCED => Some(Types::DEDUCED),
            _ => None,
        };
        let found = self.named.get(name).copied().or(common);
        found.ok_or_else(|| LanguageError(format!("schema error: no type found matching: {name}")))
    }

    fn reference(&mut self, reference: Option<&Value>, depth: usize) -> Result<TypeId, LanguageError> {
        let Some(Value::Object(map)) = reference else { return Ok(TypeId::NONE) };
        if map.is_empty() {
            return Ok(TypeId::NONE);
        }
        let Some(name) = map.get("namedType").and_then(Value::as_str) else {
            let mut atom = self.atom(&Value::Object(map.clone()), depth)?;
            if let Some(text) = map.get("elementRelationship").and_then(Value::as_str) {
                override_with(&mut atom, relationship(Some(text))?, "inlined type")?;
            }
            return Ok(self.types.add(atom));
        };
        let id = self.named(name)?;
        let Some(text) = map.get("elementRelationship").and_then(Value::as_str) else { return Ok(id) };
        let known = self.overridden.get(&format!("{text} {name}")).map(|(id, ..)| *id);
        if let Some(known) = known {
            return Ok(known);
        }
        let relationship = relationship(Some(text))?;
        let new = self.types.add(Atom::default());
        self.overridden.insert(format!("{text} {name}"), (new, id, relationship));
        Ok(new)
    }

    fn atom(&mut self, definition: &Value, depth: usize) -> Result<Atom, LanguageError> {
        if depth > TYPE_DEPTH_MAX {
            return Err(LanguageError("types nest too deep".to_owned()));
        }
        let scalar = match definition.get("scalar").and_then(Value::as_str) {
            None => None,
            Some("numeric") => Some(Scalar::Numeric),
            Some("string") => Some(Scalar::String),
            Some("boolean") => Some(Scalar::Boolean),
            Some("untyped") => Some(Scalar::Untyped),
            Some(_) => Some(Scalar::Unknown),
        };
        let list = match definition.get("list").filter(|list| list.is_object()) {
            Some(list) => Some(self.list(list, depth + 1)?),
            None => None,
        };
        let map = match definition.get("map").filter(|map| map.is_object()) {
            Some(map) => Some(self.map(map, depth + 1)?),
            None => None,
        };
        Ok(Atom { name: None, scalar, list, map })
    }

    fn list(&mut self, list: &Value, depth: usize) -> Result<ListType, LanguageError> {
        let element = self.reference(list.get("elementType"), depth)?;
        let relationship = relationship(list.get("elementRelationship").and_then(Value::as_str))?;
        let keys = list.get("keys").and_then(Value::as_array).into_iter().flatten();
        let keys = keys.filter_map(Value::as_str).map(Arc::from).collect();
        Ok(ListType { element, relationship, keys })
    }

    fn map(&mut self, map: &Value, depth: usize) -> Result<MapType, LanguageError> {
        let mut fields = BTreeMap::new();
        for field in map.get("fields").and_then(Value::as_array).into_iter().flatten() {
            let Some(name) = field.get("name").and_then(Value::as_str) else { continue };
            let id = self.reference(field.get("type"), depth)?;
            let default = field.get("default").filter(|default| !default.is_null()).cloned();
            fields.insert(Arc::from(name), FieldType { id, default });
        }
        let element = self.reference(map.get("elementType"), depth)?;
        let relationship = relationship(map.get("elementRelationship").and_then(Value::as_str))?;
        Ok(MapType { fields, element, relationship })
    }
}

fn override_with(atom: &mut Atom, relationship: Relationship, shown: &str) -> Result<(), LanguageError> {
    match atom {
        Atom { map: Some(map), .. } => map.relationship = relationship,
        Atom { list: Some(list), .. } => list.relationship = relationship,
        _ => return Err(LanguageError(format!("schema error: no type found matching: {shown}"))),
    }
    Ok(())
}

fn relationship(text: Option<&str>) -> Result<Relationship, LanguageError> {
    match text {
        None | Some("") => Ok(Relationship::Unset),
        Some("atomic") => Ok(Relationship::Atomic),
        Some("associative") => Ok(Relationship::Associative),
        Some("separable") => Ok(Relationship::Separable),
        Some(other) => Err(LanguageError(format!("unknown relationship {other}"))),
    }
}
