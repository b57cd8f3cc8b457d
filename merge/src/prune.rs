//! Dropping what an applier no longer applies.
//!
//! Follows `prune` and `addBack…` of merge/update.go of structured-merge-diff: a field or item goes if the applier had
//! applied it, does so no more, and nobody else owns it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::set::Set;
use super::typed::Typed;
use super::updater::{ConvertError, Converter, Managers, VersionedSet};

/// The merged object without what goes, in `version`; nothing when all stays, or the last version is gone.
pub(super) fn prune<C: Converter + ?Sized>(
    converter: &C,
    merged: &Typed<'_>,
    managers: &Managers,
    version: &str,
    manager: &str,
    last: &VersionedSet,
) -> Result<Option<Value>, String> {
    if applies_it_all_again(managers, version, manager, last) {
        return Ok(None);
    }
    let what = "failed to convert merged object to last applied version";
    let Some(converted) = convert(converter, merged, &last.version, what)? else { return Ok(None) };
    let last_set = named(&converted, &last.set);
    let pruned = converted.remove_items(&last_set);
    let pruned = add_back_owned(converter, &converted, pruned.into_value(), &last.version, managers)
        .map_err(|error| format!("failed add back owned items: {error}"))?;
    let kept = add_back_dangling(converter, &converted, &pruned.typed(), &last.version, &last_set)
        .map_err(|error| format!("failed add back dangling items: {error}"))?;
    let kept = kept.unwrap_or_else(|| converted.value().clone());
    let kept = Typed::unchecked(Cow::Owned(kept), converted.kind());
    match converter.convert(&kept, version) {
        Ok(object) => Ok(Some(object.into_value())),
        Err(ConvertError::MissingVersion(error) | ConvertError::Failed(error)) => Err(error),
    }
}

/// Whether the applier still applies everything that it had applied. Then nothing goes, and what upstream finds out by
/// taking the object apart and putting it together again is known: whatever leads to a path of what is applied is in
/// what is applied too, so nothing on the way is dropped either. With other versions about, that way is taken here too.
fn applies_it_all_again(managers: &Managers, version: &str, manager: &str, last: &VersionedSet) -> bool {
    *last.version == *version
        && managers.values().all(|own| *own.version == *version)
        && managers.get(manager).is_some_and(|own| last.set.difference(&own.set).is_empty())
}

/// Nothing if the version is gone.
fn convert<'a, C: Converter + ?Sized>(
    converter: &'a C,
    object: &'a Typed<'_>,
    version: &str,
    what: &str,
) -> Result<Option<Typed<'a>>, String> {
    match converter.convert(object, version) {
        Ok(object) => Ok(Some(object)),
        Err(ConvertError::MissingVersion(_)) => Ok(None),
        Err(ConvertError::Failed(error)) => Err(format!("{what}: {error}")),
    }
}

fn named(object: &Typed<'_>, set: &Set) -> Set {
    object.kind().with_named_fields(set)
}

fn fields(object: &Typed<'_>, what: &str) -> Result<Set, String> {
    object.field_set().map_err(|error| format!("{what}: {error}"))
}

/// An object on its way through the versions.
struct Stage {
    value: Value,
    kind: super::types::ObjectType,
}

impl Stage {
    fn of(object: Typed<'_>) -> Self {
        let kind = object.kind().clone();
        Self { value: object.into_value(), kind }
    }

    fn typed(&self) -> Typed<'_> {
        Typed::unchecked(Cow::Borrowed(&self.value), &self.kind)
    }
}

/// Adds back what any manager owns, the applier with its new configuration included.
fn add_back_owned<C: Converter + ?Sized>(
    converter: &C,
    merged: &Typed<'_>,
    pruned: Value,
    pruned_version: &str,
    managers: &Managers,
) -> Result<Stage, String> {
    let mut owned: BTreeMap<&str, Set> = BTreeMap::new();
    for own in managers.values() {
        let all = owned.entry(&own.version).or_default();
        *all = all.union(&own.set);
    }
    let mut merged = Stage { value: merged.value().clone(), kind: merged.kind().clone() };
    let mut pruned = Stage { value: pruned, kind: merged.kind.clone() };
    // First at the version of the pruned object, which may lack what conversion requires.
    let first = owned.remove_entry(pruned_version);
    for (version, owned) in first.into_iter().chain(owned) {
        (merged, pruned) = add_back_owned_in(converter, merged, pruned, version, &owned)?;
    }
    Ok(pruned)
}

fn add_back_owned_in<C: Converter + ?Sized>(
    converter: &C,
    merged: Stage,
    pruned: Stage,
    version: &str,
    owned: &Set,
) -> Result<(Stage, Stage), String> {
    let at = |what: &str| format!("failed to {what} at version {version}");
    let converted = convert(converter, &merged.typed(), version, &at("convert merged object"))?.map(Stage::of);
    let Some(merged) = converted else { return Ok((merged, pruned)) };
    let converted = convert(converter, &pruned.typed(), version, &at("convert pruned object"))?.map(Stage::of);
    let Some(pruned) = converted else { return Ok((merged, pruned)) };
    let object = merged.typed();
    let merged_set = fields(&object, &at("create field set from merged object"))?;
    let pruned_set = fields(&pruned.typed(), &at("create field set from pruned object"))?;
    let kept = named(&object, &pruned_set).union(&named(&object, owned));
    let value = object.remove_items(&named(&object, &merged_set).difference(&kept)).into_value();
    let kind = merged.kind.clone();
    Ok((merged, Stage { value, kind }))
}

/// Adds back what the applier did not own; nothing if all is to stay.
fn add_back_dangling<C: Converter + ?Sized>(
    converter: &C,
    merged: &Typed<'_>,
    pruned: &Typed<'_>,
    version: &str,
    last: &Set,
) -> Result<Option<Value>, String> {
    let what = "failed to convert pruned object to last applied version";
    let Some(pruned) = convert(converter, pruned, version, what)? else { return Ok(None) };
    let pruned_set = fields(&pruned, "failed to create field set from pruned object in last applied version")?;
    let merged_set = fields(merged, "failed to create field set from merged object in last applied version")?;
    let gone = named(merged, &merged_set).difference(&named(merged, &pruned_set)).intersection(last);
    Ok(Some(merged.remove_items(&gone).into_value()))
}
