//! What is known about a value in a template: which values of the chart it is, or is made of.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{ANY, ValuePath};

/// How much one may be, in paths and members.
const SIZE_MAX: usize = 1024;

/// How long a path may be, in names.
const PATH_NAMES_MAX: usize = 32;

/// A value in a template. Where it may be several, it is all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Term {
    /// A text that the template has.
    pub(super) literal: Option<String>,
    /// The context of a chart, whose values are at this path.
    contexts: BTreeSet<ValuePath>,
    /// Values of the chart, or text that is made of them as a whole.
    pub(super) values: BTreeSet<ValuePath>,
    /// The members of a `dict`, or the items of a `list`.
    members: BTreeMap<String, Rc<Term>>,
    /// Whether there is text besides.
    pub(super) has_text: bool,
    size: usize,
}

impl Term {
    /// The context that templates of a chart begin with.
    pub(super) fn context(values: ValuePath) -> Self {
        Self { contexts: BTreeSet::from([values]), size: 1, ..Self::default() }
    }

    /// A text.
    pub(super) fn text(text: &str) -> Self {
        Self { literal: Some(text.to_owned()), ..Self::default() }
    }

    /// Values.
    pub(super) fn values(values: BTreeSet<ValuePath>) -> Self {
        Self { size: values.len(), values, ..Self::default() }.bounded()
    }

    /// A dictionary.
    pub(super) fn dictionary(members: impl IntoIterator<Item = (String, Term)>) -> Self {
        let members: BTreeMap<String, Rc<Term>> =
            members.into_iter().map(|(name, member)| (name, Rc::new(member))).collect();
        let size = members.values().fold(members.len(), |size, member| size.saturating_add(member.size));
        Self { members, size, ..Self::default() }.bounded()
    }

    /// How much it is.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The field of a name.
    pub(super) fn field(&self, name: &str) -> Self {
        let mut found = BTreeSet::new();
        if name == "Values" {
            found.extend(self.contexts.iter().cloned());
        }
        found.extend(self.values.iter().map(|path| longer(path, name)));
        let mut field = Self::values(found);
        let members = match name {
            ANY => self.members.values().collect::<Vec<_>>(),
            name => self.members.get(name).into_iter().collect(),
        };
        for member in members {
            field = field.or(member);
        }
        field
    }

    /// Either of the two.
    pub(super) fn or(mut self, other: &Self) -> Self {
        if self.literal != other.literal {
            self.literal = None;
        }
        self.contexts.extend(other.contexts.iter().cloned());
        self.values.extend(other.values.iter().cloned());
        for (name, member) in &other.members {
            let joined = match self.members.get(name) {
                Some(held) if Rc::ptr_eq(held, member) => continue,
                Some(held) => Rc::new((**held).clone().or(member)),
                None => Rc::clone(member),
            };
            self.members.insert(name.clone(), joined);
        }
        self.has_text |= other.has_text;
        let own = self.contexts.len() + self.values.len() + self.members.len();
        self.size = self.members.values().fold(own, |size, member| size.saturating_add(member.size));
        self.bounded()
    }

    /// Of too much nothing is known.
    fn bounded(self) -> Self {
        if self.size > SIZE_MAX { Self::default() } else { self }
    }

    /// Whether it says itself which kind of object it is.
    pub(super) fn names_its_kind(&self) -> bool {
        self.members.contains_key("kind")
    }
}

fn longer(path: &ValuePath, name: &str) -> ValuePath {
    let mut path = path.clone();
    if path.len() < PATH_NAMES_MAX {
        path.push(name.to_owned());
    }
    path
}
