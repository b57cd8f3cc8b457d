//! Who owns what after an update, and what an apply makes of an object.
//!
//! Follows merge/update.go of structured-merge-diff.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::compare::Comparison;
use super::conflict::{Conflict, Conflicts};
use super::entries::Operation;
use super::prune::prune;
use super::set::Set;
use super::typed::{Typed, ValidationErrors};
use super::value;

/// What a manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedSet {
    /// The paths.
    pub set: Arc<Set>,
    /// The version in which the paths are meant.
    pub version: Arc<str>,
    /// Whether the manager applied or updated.
    pub operation: Operation,
}

/// What each manager owns, by the identifier of the manager.
pub type Managers = BTreeMap<String, VersionedSet>;

/// Whether an apply may take what others own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// It may not: that is a conflict.
    Refuse,
    /// It may.
    Take,
}

/// What an apply returns that changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noop {
    /// No object.
    Nothing,
    /// The object all the same.
    Input,
}

/// Why an object cannot be had in a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// The version is no longer known. What was owned in it is forgotten.
    #[error("{0}")]
    MissingVersion(String),
    /// Something else.
    #[error("{0}")]
    Failed(String),
}

/// Converts objects between versions.
pub trait Converter {
    /// The object in that version; itself if it is in it.
    ///
    /// # Errors
    /// The version is unknown, or the object cannot be converted.
    fn convert<'a>(&'a self, object: &'a Typed<'_>, version: &str) -> Result<Typed<'a>, ConvertError>;
}

/// Why an update or an apply fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// Others own what is applied.
    #[error("{0}")]
    Conflicts(Conflicts),
    /// Anything else; the text is for the client.
    #[error("{0}")]
    Failed(String),
}

impl UpdateError {
    pub(super) fn failed(what: &str, error: impl std::fmt::Display) -> Self {
        Self::Failed(format!("{what}: {error}"))
    }
}

/// Computes who owns what.
pub struct Updater<'c, C: ?Sized> {
    /// Converts to the versions in which managers own.
    pub converter: &'c C,
    /// Fields that nobody can own, by version; with everything below them.
    pub ignored: &'c BTreeMap<String, Set>,
    /// What an apply returns that changes nothing.
    pub noop: Noop,
}

impl<C: Converter + ?Sized> Updater<'_, C> {
    /// Who owns what, once `new` replaces `live`; `live` is null for an object that is created.
    ///
    /// # Errors
    /// The objects are not of their types or cannot be converted.
    pub fn update(
        &self,
        live: &Typed<'_>,
        new: &Typed<'_>,
        version: &str,
        managers: &Managers,
        manager: &str,
    ) -> Result<Managers, UpdateError> {
        let mut managers = self.reconciled(live, managers)?;
        let compared = self.transfer(live, new, version, &mut managers, manager, Force::Take)?;
        let before = managers.remove(manager).map(|own| own.set).unwrap_or_default();
        let set = before.difference(&compared.removed).union(&compared.modified).union(&compared.added);
        let set = self.without_ignored(set, version);
        if !set.is_empty() {
            let own = VersionedSet { set: set.into(), version: version.into(), operation: Operation::Update };
            managers.insert(manager.to_owned(), own);
        }
        Ok(managers)
    }

    /// The object with `config` applied, and who owns what then. No object if it is the same as `live`.
    ///
    /// # Errors
    /// Others own what is applied, the objects are not of their types, or they cannot be converted.
    pub fn apply<'a>(
        &self,
        live: &'a Typed<'a>,
        config: &'a Typed<'a>,
        version: &str,
        managers: &Managers,
        manager: &str,
        force: Force,
    ) -> Result<(Option<Typed<'a>>, Managers), UpdateError> {
        let mut managers = self.reconciled(live, managers)?;
        let merged = live.merge(config).map_err(|error| UpdateError::failed("failed to merge config", error))?;
        let set = config.field_set().map_err(|error| UpdateError::failed("failed to get field set", error))?;
        let set = self.without_ignored(set, version);
        let own = VersionedSet { set: set.into(), version: version.into(), operation: Operation::Apply };
        let last = managers.insert(manager.to_owned(), own);
        let new = match last.filter(|last| !last.set.is_empty()) {
            Some(last) => {
                let value = prune(self.converter, &merged, &managers, version, manager, &last)
                    .map_err(|error| UpdateError::failed("failed to prune fields", error))?;
                match value {
                    Some(value) => Typed::unchecked(Cow::Owned(value), live.kind()),
                    None => merged,
                }
            }
            None => merged,
        };
        self.transfer(live, &new, version, &mut managers, manager, force)?;
        let same = self.noop == Noop::Nothing && value::equal(live.value(), new.value());
        Ok(((!same).then_some(new), managers))
    }

    fn without_ignored(&self, set: Set, version: &str) -> Set {
        match self.ignored.get(version) {
            Some(ignored) => set.recursive_difference(ignored),
            None => set,
        }
    }

    fn compared(&self, old: &Typed<'_>, new: &Typed<'_>, version: &str) -> Result<Comparison, UpdateError> {
        let error = |error: ValidationErrors| UpdateError::failed("failed to compare objects", error);
        let mut comparison = old.compare(new).map_err(error)?;
        if let Some(ignored) = self.ignored.get(version) {
            comparison.exclude(ignored);
        }
        Ok(comparison)
    }

    /// Takes what has changed from all managers but `workflow` (`Updater.update`).
    fn transfer(
        &self,
        old: &Typed<'_>,
        new: &Typed<'_>,
        version: &str,
        managers: &mut Managers,
        workflow: &str,
        force: Force,
    ) -> Result<Comparison, UpdateError> {
        let compared = self.compared(old, new, version)?;
        let changed = compared.modified.union(&compared.added);
        let mut versions: BTreeMap<Arc<str>, Option<(Comparison, Set)>> = BTreeMap::new();
        versions.insert(version.into(), Some((compared, changed)));
        let mut conflicts = Vec::new();
        for (manager, own) in managers.iter().filter(|(manager, _)| *manager != workflow) {
            if !versions.contains_key(&own.version) {
                versions.insert(own.version.clone(), self.compared_in(old, new, &own.version)?);
            }
            let Some(Some((_, changed))) = versions.get(&own.version) else { continue };
            let conflict = own.set.intersection(changed);
            if !conflict.is_empty() {
                conflicts.push((manager.clone(), conflict));
            }
        }
        if force == Force::Refuse && !conflicts.is_empty() {
            return Err(UpdateError::Conflicts(conflicts_of(&conflicts)));
        }
        for (manager, conflict) in &conflicts {
            if let Some(own) = managers.get_mut(manager) {
                own.set = own.set.difference(conflict).into();
            }
        }
        managers.retain(|manager, own| {
            if manager != workflow {
                match versions.get(&own.version) {
                    Some(Some((compared, _))) if !compared.removed.is_empty() => {
                        own.set = own.set.difference(&compared.removed).into();
                    }
                    Some(None) => return false,
                    _ => {}
                }
            }
            !own.set.is_empty()
        });
        let compared = versions.remove(version).flatten();
        Ok(compared.map(|(compared, _)| compared).unwrap_or_default())
    }

    /// The difference in another version; nothing if the version is gone.
    fn compared_in(
        &self,
        old: &Typed<'_>,
        new: &Typed<'_>,
        version: &str,
    ) -> Result<Option<(Comparison, Set)>, UpdateError> {
        let convert = |what: &str, object| match self.converter.convert(object, version) {
            Ok(object) => Ok(Some(object)),
            Err(ConvertError::MissingVersion(_)) => Ok(None),
            Err(ConvertError::Failed(error)) => Err(UpdateError::failed(what, error)),
        };
        let Some(old) = convert("failed to convert old object", old)? else { return Ok(None) };
        let Some(new) = convert("failed to convert new object", new)? else { return Ok(None) };
        let compared = self.compared(&old, &new, version)?;
        let changed = compared.modified.union(&compared.added);
        Ok(Some((compared, changed)))
    }

    /// The managers of versions that are known, with their sets as the types are now.
    fn reconciled(&self, live: &Typed<'_>, managers: &Managers) -> Result<Managers, UpdateError> {
        let mut versions: BTreeMap<&str, Option<Typed<'_>>> = BTreeMap::new();
        let mut out = Managers::new();
        for (manager, own) in managers {
            if !versions.contains_key(own.version.as_ref()) {
                let object = match self.converter.convert(live, &own.version) {
                    Ok(object) => Some(object),
                    Err(ConvertError::MissingVersion(_)) => None,
                    Err(ConvertError::Failed(error)) => return Err(UpdateError::Failed(error)),
                };
                versions.insert(&own.version, object);
            }
            let Some(Some(object)) = versions.get(own.version.as_ref()) else { continue };
            let set = object.reconcile(&own.set).map_err(UpdateError::Failed)?;
            let set = set.map_or_else(|| own.set.clone(), Arc::new);
            out.insert(manager.clone(), VersionedSet { set, ..own.clone() });
        }
        Ok(out)
    }
}

fn conflicts_of(sets: &[(String, Set)]) -> Conflicts {
    let mut conflicts = Vec::new();
    for (manager, set) in sets {
        set.for_each(&mut |path| conflicts.push(Conflict { manager: manager.clone(), path: path.to_vec() }));
    }
    Conflicts(conflicts)
}
