//! Sets of paths: what a manager owns.
//!
//! Follows fieldpath/set.go of structured-merge-diff. A set is a tree; subtrees are shared between sets.

use std::cmp::Ordering;
use std::sync::Arc;

use super::path::{PathElement, path_text};
use super::types::{TypeId, Types};

/// A set of paths. The members are the paths of length one, the children lead to longer ones; both are sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set {
    pub(super) members: Vec<PathElement>,
    pub(super) children: Vec<(PathElement, Arc<Set>)>,
}

/// What becomes of an element that two sorted lists have, or only one.
#[derive(Clone, Copy)]
enum Side<'a, T> {
    Left(&'a T),
    Right(&'a T),
    Both(&'a T, &'a T),
}

/// Walks two sorted lists together.
fn zip<'a, T>(a: &'a [T], b: &'a [T], order: impl Fn(&T, &T) -> Ordering, mut visit: impl FnMut(Side<'a, T>)) {
    let (mut i, mut j) = (0, 0);
    loop {
        match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) => match order(x, y) {
                Ordering::Less => {
                    visit(Side::Left(x));
                    i += 1;
                }
                Ordering::Greater => {
                    visit(Side::Right(y));
                    j += 1;
                }
                Ordering::Equal => {
                    visit(Side::Both(x, y));
                    i += 1;
                    j += 1;
                }
            },
            (Some(x), None) => {
                visit(Side::Left(x));
                i += 1;
            }
            (None, Some(y)) => {
                visit(Side::Right(y));
                j += 1;
            }
            (None, None) => return,
        }
    }
}

type Child = (PathElement, Arc<Set>);

fn by_element(a: &Child, b: &Child) -> Ordering {
    a.0.cmp(&b.0)
}

impl Set {
    /// The set of these paths.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a [PathElement]>) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(path);
        }
        set
    }

    /// The set of one path of fields.
    pub fn of_fields(names: &[&str]) -> Self {
        let path: Vec<_> = names.iter().map(|name| PathElement::field(name)).collect();
        Self::of([path.as_slice()])
    }

    /// Adds a path; the empty one is in no set.
    pub fn insert(&mut self, path: &[PathElement]) {
        match path {
            [] => {}
            [last] => self.insert_member(last.clone()),
            [first, rest @ ..] => {
                let at = match self.child_at(first) {
                    Ok(at) => at,
                    Err(at) => {
                        self.children.insert(at, (first.clone(), Arc::default()));
                        at
                    }
                };
                Arc::make_mut(&mut self.children[at].1).insert(rest);
            }
        }
    }

    pub(super) fn insert_member(&mut self, element: PathElement) {
        // Most elements come in order.
        if self.members.last().is_none_or(|last| *last < element) {
            self.members.push(element);
        } else if let Err(at) = self.members.binary_search(&element) {
            self.members.insert(at, element);
        }
    }

    /// Adds all paths of `set` below `element`; nothing if there are none.
    pub(super) fn insert_below(&mut self, element: &PathElement, set: Set) {
        if set.members.is_empty() && set.children.is_empty() {
            return;
        }
        if self.children.last().is_none_or(|last| last.0 < *element) {
            self.children.push((element.clone(), Arc::new(set)));
            return;
        }
        match self.child_at(element) {
            Ok(at) => {
                let both = self.children[at].1.union(&set);
                self.children[at].1 = Arc::new(both);
            }
            Err(at) => self.children.insert(at, (element.clone(), Arc::new(set))),
        }
    }

    /// Puts `set` below `element` in place of what is there.
    pub(super) fn replace_below(&mut self, element: PathElement, set: Set) {
        match self.child_at(&element) {
            Ok(at) => self.children[at].1 = Arc::new(set),
            Err(at) => self.children.insert(at, (element, Arc::new(set))),
        }
    }

    fn child_at(&self, element: &PathElement) -> Result<usize, usize> {
        self.children.binary_search_by(|(own, _)| own.cmp(element))
    }

    /// The paths below `element`.
    pub(super) fn below(&self, element: &PathElement) -> Option<&Set> {
        self.child_at(element).ok().map(|at| &*self.children[at].1)
    }

    pub(super) fn has_member(&self, element: &PathElement) -> bool {
        self.members.binary_search(element).is_ok()
    }

    /// Whether the path itself is in the set.
    pub fn has(&self, path: &[PathElement]) -> bool {
        match path {
            [] => false,
            [last] => self.has_member(last),
            [first, rest @ ..] => self.below(first).is_some_and(|below| below.has(rest)),
        }
    }

    /// How many paths there are.
    pub fn len(&self) -> usize {
        self.members.len() + self.children.iter().map(|(_, set)| set.len()).sum::<usize>()
    }

    /// Whether there is no path.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.iter().all(|(_, set)| set.is_empty())
    }

    /// Calls `visit` with every path, members before children.
    pub fn for_each(&self, visit: &mut dyn FnMut(&[PathElement])) {
        self.walk(&mut Vec::new(), visit);
    }

    fn walk(&self, path: &mut Vec<PathElement>, visit: &mut dyn FnMut(&[PathElement])) {
        for member in &self.members {
            path.push(member.clone());
            visit(path);
            path.pop();
        }
        for (element, set) in &self.children {
            path.push(element.clone());
            set.walk(path, visit);
            path.pop();
        }
    }

    /// All paths as texts, in the order of [`Set::for_each`].
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.for_each(&mut |path| paths.push(path_text(path)));
        paths
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut out = Self::default();
        out.members.reserve(self.members.len().max(other.members.len()));
        zip(&self.members, &other.members, Ord::cmp, |side| match side {
            Side::Left(one) | Side::Right(one) | Side::Both(_, one) => out.members.push(one.clone()),
        });
        out.children.reserve(self.children.len().max(other.children.len()));
        zip(&self.children, &other.children, by_element, |side| match side {
            Side::Left(one) | Side::Right(one) => out.children.push(one.clone()),
            Side::Both(a, b) => {
                let set = if Arc::ptr_eq(&a.1, &b.1) { Arc::clone(&a.1) } else { Arc::new(a.1.union(&b.1)) };
                out.children.push((a.0.clone(), set));
            }
        });
        out
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut out = Self::default();
        zip(&self.members, &other.members, Ord::cmp, |side| {
            if let Side::Both(one, _) = side {
                out.members.push(one.clone());
            }
        });
        zip(&self.children, &other.children, by_element, |side| {
            if let Side::Both(a, b) = side {
                out.push_child(&a.0, a.1.intersection(&b.1));
            }
        });
        out
    }

    /// What is in this one but not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = self.members_without(other);
        zip(&self.children, &other.children, by_element, |side| match side {
            Side::Left(own) => out.children.push(own.clone()),
            Side::Both(own, others) => out.push_child(&own.0, own.1.difference(&others.1)),
            Side::Right(_) => {}
        });
        out
    }

    /// What is in this one, and in `other` or below one of its paths that leads no further.
    #[must_use]
    pub fn at_or_below(&self, other: &Self) -> Self {
        let mut out = Self::default();
        let is_leaf = |element: &PathElement| other.has_member(element) && other.below(element).is_none();
        out.members.extend(self.members.iter().filter(|member| other.has_member(member)).cloned());
        for (element, set) in &self.children {
            if is_leaf(element) {
                out.children.push((element.clone(), Arc::clone(set)));
            } else if let Some(below) = other.below(element) {
                out.push_child(element, set.at_or_below(below));
            }
        }
        out
    }

    /// What is in this one, but neither in the other nor below a path of it.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        let mut out = self.members_without(other);
        zip(&self.children, &other.children, by_element, |side| match side {
            Side::Left(own) if !other.has_member(&own.0) => out.children.push(own.clone()),
            Side::Both(own, others) if !other.has_member(&own.0) => {
                out.push_child(&own.0, own.1.recursive_difference(&others.1));
            }
            _ => {}
        });
        out
    }

    fn members_without(&self, other: &Self) -> Self {
        let mut out = Self::default();
        zip(&self.members, &other.members, Ord::cmp, |side| {
            if let Side::Left(own) = side {
                out.members.push(own.clone());
            }
        });
        out
    }

    fn push_child(&mut self, element: &PathElement, set: Set) {
        if !set.is_empty() {
            self.children.push((element.clone(), Arc::new(set)));
        }
    }

    /// The paths that lead to no other path of the set.
    #[must_use]
    pub fn leaves(&self) -> Self {
        let members = self.members.iter().filter(|member| self.child_at(member).is_err()).cloned().collect();
        let children = self.children.iter().map(|(element, set)| (element.clone(), Arc::new(set.leaves()))).collect();
        Self { members, children }
    }

    /// Adds the fields that a type names and that lead to a path of the set.
    pub(super) fn with_named_fields(&self, types: &Types, id: TypeId) -> Self {
        let atom = types.atom(id);
        let mut out = Self { members: self.members.clone(), children: Vec::with_capacity(self.children.len()) };
        for (element, set) in &self.children {
            let mut inner = TypeId::NONE;
            match (element, &atom.map, &atom.list) {
                (PathElement::Field(name), Some(map), _) => {
                    inner = map.entry(name);
                    if map.fields.contains_key(name.as_ref()) {
                        out.insert_member(element.clone());
                    }
                }
                (PathElement::Key(_), _, Some(list)) => inner = list.element,
                _ => {}
            }
            out.children.push((element.clone(), Arc::new(set.with_named_fields(types, inner))));
        }
        out
    }
}
