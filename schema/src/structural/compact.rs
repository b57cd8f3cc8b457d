//! Containers that keep a compiled schema small: most schemas of a tree use few of the keywords there are.

use std::ops::{Deref, DerefMut};

use super::node::Node;

/// What a keyword group is when none of its keywords is used.
pub(crate) trait Unused: Sized + Default + PartialEq + 'static {
    /// That value, shared by all schemas.
    const UNUSED: &'static Self;
}

/// Keywords that are rarely used: a pointer, and nothing behind it while they are not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rare<T>(Option<Box<T>>);

impl<T: Unused> From<T> for Rare<T> {
    fn from(value: T) -> Self {
        Self((value != *T::UNUSED).then(|| Box::new(value)))
    }
}

impl<T: Unused> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::UNUSED)
    }
}

impl<T: Unused> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(Box::default)
    }
}

impl<T: Unused> PartialEq for Rare<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<'a, T> IntoIterator for &'a Rare<Vec<T>>
where
    Vec<T>: Unused,
{
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// `properties`: the schemas of fields, sorted by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Fields(Box<[(Box<str>, Node)]>);

impl Fields {
    /// The schema of the field `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        let at = self.0.binary_search_by(|(held, _)| (**held).cmp(name)).ok()?;
        self.0.get(at).map(|(_, node)| node)
    }

    /// The names and the schemas, in the order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.into_iter()
    }

    /// A way to look names up that come in the order of the names, as they do from an object.
    pub(crate) fn in_order(&self) -> InOrder<'_> {
        InOrder { fields: self, next: 0 }
    }

    /// Whether the field `name` has a schema.
    pub(crate) fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, sorted.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// The schemas, in the order of the names.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Node> {
        self.0.iter().map(|(_, node)| node)
    }

    /// The schemas, to be changed.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.0.iter_mut().map(|(_, node)| node)
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.0 = Box::default();
    }
}

/// See [`Fields::in_order`]. Names in another order are found too, only slower.
pub(crate) struct InOrder<'a> {
    fields: &'a Fields,
    next: usize,
}

impl<'a> InOrder<'a> {
    /// The schema of the field `name`.
    pub(crate) fn get(&mut self, name: &str) -> Option<&'a Node> {
        // Few fields are left out; whether two names are the same is mostly told by their lengths.
        const AHEAD: usize = 4;
        let all = &self.fields.0;
        if all.is_empty() {
            return None;
        }
        let ahead = all.iter().enumerate().skip(self.next).take(AHEAD);
        let at = match ahead.into_iter().find(|(_, (held, _))| **held == *name) {
            Some((at, _)) => at,
            None => match all.binary_search_by(|(held, _)| (**held).cmp(name)) {
                Ok(at) => at,
                Err(at) => {
                    self.next = at;
                    return None;
                }
            },
        };
        self.next = at + 1;
        all.get(at).map(|(_, node)| node)
    }
}

impl FromIterator<(Box<str>, Node)> for Fields {
    fn from_iter<I: IntoIterator<Item = (Box<str>, Node)>>(fields: I) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_by(|(left, _), (right, _)| left.cmp(right));
        Self(fields.into_boxed_slice())
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = (&'a str, &'a Node);
    type IntoIter = std::iter::Map<std::slice::Iter<'a, (Box<str>, Node)>, fn(&(Box<str>, Node)) -> (&str, &Node)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(name, node)| (&**name, node))
    }
}
