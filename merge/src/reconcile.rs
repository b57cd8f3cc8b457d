//! What a set becomes when the type of its object has changed.
//!
//! Follows typed/reconcile_schema.go of structured-merge-diff: lists and maps that have become atomic are owned as a whole.

use super::path::PathElement;
use super::set::Set;
use super::types::{MapType, Relationship, Shape, TypeId, Types};

/// Nothing if the set stays as it is.
pub(super) fn reconcile(types: &Types, id: TypeId, set: &Set) -> Result<Option<Set>, String> {
    let mut collapsed = Set::default();
    let node = Node { set: Some(set), leaf: false };
    walk(types, id, node, &mut collapsed)
        .map_err(|error| format!("errors reconciling field set with schema: {error}"))?;
    if collapsed.is_empty() {
        return Ok(None);
    }
    Ok(Some(set.recursive_difference(&collapsed).union(&collapsed)))
}

/// What a set says about a value.
#[derive(Clone, Copy)]
struct Node<'a> {
    set: Option<&'a Set>,
    /// The value is a member, and nothing below it is.
    leaf: bool,
}

/// Whether a value is owned as a whole from now on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Now {
    Same,
    Whole,
}

fn walk(types: &Types, id: TypeId, node: Node<'_>, collapsed: &mut Set) -> Result<Now, String> {
    let atom = types.atom(id);
    match atom.shape(super::types::Kinds::All) {
        None => return Err(atom.invalid()),
        Some(Shape::Scalar(_)) => {}
        Some(Shape::List(list)) => {
            if !node.leaf && list.relationship == Relationship::Atomic {
                return Ok(Now::Whole);
            }
            elements(types, node.set, collapsed, |_| Some(list.element))?;
        }
        Some(Shape::Map(map)) => {
            // Deduced maps cannot have become atomic.
            if types.is_deduced(map.element) && map.fields.is_empty() {
                return Ok(Now::Same);
            }
            if !node.leaf && map.relationship == Relationship::Atomic {
                let owned = node.set.is_some_and(|set| !set.is_empty());
                return Ok(if owned { Now::Whole } else { Now::Same });
            }
            elements(types, node.set, collapsed, |element| entry(map, element))?;
        }
    }
    Ok(Now::Same)
}

fn elements(
    types: &Types,
    set: Option<&Set>,
    collapsed: &mut Set,
    id_of: impl Fn(&PathElement) -> Option<TypeId>,
) -> Result<(), String> {
    let Some(set) = set else { return Ok(()) };
    let children = set.children.iter().map(|(element, _)| element).filter(|element| !set.has_member(element));
    for element in children.chain(&set.members) {
        let Some(id) = id_of(element) else { continue };
        let below = set.below(element);
        let node = Node { set: below, leaf: below.is_none() };
        let mut inside = Set::default();
        let now = walk(types, id, node, &mut inside)?;
        collapsed.insert_below(element, inside);
        if now == Now::Whole {
            collapsed.insert_member(element.clone());
        }
    }
    Ok(())
}

/// Nothing for fields that the type does not have.
fn entry(map: &MapType, element: &PathElement) -> Option<TypeId> {
    let id = match element {
        PathElement::Field(name) => map.entry(name),
        _ => map.element,
    };
    (id != TypeId::NONE).then_some(id)
}
