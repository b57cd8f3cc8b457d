//! Which fields an object loses on its way between the versions of its kind.

use std::fmt;

use crate::{
    kind::{Kind, KindBackend, KindVersion, StorageRole},
    structural::node::{Additional, Node, is_meta_field},
};

/// How many fields are named for one version; the first ones are enough to see what is wrong.
const LOST_FIELDS_MAX: usize = 20;

/// A field that one version has and another one drops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostField {
    /// Where it is; `*` stands for each entry of a map or list, `**` for fields that no schema names.
    pub path: String,
    /// The version that has it.
    pub known_to: String,
    /// The version that drops it.
    pub lost_in: String,
    /// Which of the two is stored.
    pub stored: Lost,
}

/// When a field is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The version that is stored does not have it: it is never kept.
    Always,
    /// The other version does not have it: it goes when an object is written in that version.
    WhenWritten,
}

impl fmt::Display for LostField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, known_to, lost_in, stored } = self;
        match stored {
            Lost::Always => {
                write!(f, "{path} of {known_to} is never stored: {lost_in}, the stored version, has no such field")
            }
            Lost::WhenWritten => write!(
                f,
                "{path} of {known_to} is lost when an object is written in {lost_in}, which has no such field"
            ),
        }
    }
}

impl Kind {
    /// The fields that objects lose between the stored version and the others that are served.
    #[must_use]
    pub fn lost_fields(&self) -> Vec<LostField> {
        let Some(stored) = self.storage_version() else { return Vec::new() };
        let others = self.served_versions().filter(|version| version.storage == StorageRole::Converted);
        let mut found = Vec::new();
        for other in others {
            found.extend(self.lost(other, stored, Lost::Always));
            found.extend(self.lost(stored, other, Lost::WhenWritten));
        }
        found
    }

    fn lost(&self, from: &KindVersion, to: &KindVersion, stored: Lost) -> Vec<LostField> {
        let mut paths = Vec::new();
        let is_kept_elsewhere =
            |name: &str| is_meta_field(name) || (name == "status" && matches!(self.backend, KindBackend::Release(_)));
        for (name, field) in from.schema.root().properties.iter().filter(|(name, _)| !is_kept_elsewhere(name)) {
            compare_field(name, field, to.schema.root(), "", &mut paths);
        }
        paths.truncate(LOST_FIELDS_MAX);
        let lost = |path| LostField { path, known_to: from.name.clone(), lost_in: to.name.clone(), stored };
        paths.into_iter().map(lost).collect()
    }
}

fn compare_field(name: &str, field: &Node, to: &Node, at: &str, found: &mut Vec<String>) {
    let path = if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match to.properties.get(name).or_else(|| to.additional.as_ref().and_then(Additional::schema)) {
        Some(other) => compare(field, other, &path, found),
        None if to.preserves_unknown_fields() || to.additional == Some(Additional::Any(true)) => {}
        None => found.push(path),
    }
}

/// Adds what values of `from` lose when they are pruned by `to`.
fn compare(from: &Node, to: &Node, at: &str, found: &mut Vec<String>) {
    if found.len() >= LOST_FIELDS_MAX {
        return;
    }
    if from.preserves_unknown_fields() && !to.preserves_unknown_fields() && to.additional.is_none() {
        found.push(format!("{at}.**"));
    }
    for (name, field) in from.properties.iter() {
        compare_field(name, field, to, at, found);
    }
    if let Some(entry) = &from.additional {
        let path = format!("{at}.*");
        match (entry.schema(), &to.additional) {
            (Some(entry), Some(Additional::Schema(other))) => compare(entry, other, &path, found),
            (_, None | Some(Additional::Any(false))) if !to.preserves_unknown_fields() => found.push(path),
            _ => {}
        }
    }
    match (from.items.as_deref(), to.items.as_deref()) {
        (Some(items), Some(other)) => compare(items, other, &format!("{at}.*"), found),
        (Some(items), None) if !to.preserves_unknown_fields() && !items.properties.is_empty() => {
            found.push(format!("{at}.*"));
        }
        _ => {}
    }
}
