//! What is around the schemas of a kind: versions, names, columns, the backend.

use kindsmith_crds::Scope;

use super::{Break, Change, Hurt, NameOf, compare};
use crate::kind::{Kind, KindBackend, KindVersion, Serving, StatusRole};

/// Everything in `new` that can break stored instances or clients of `old`.
#[must_use]
pub fn compare_kinds(old: &Kind, new: &Kind) -> Vec<Break> {
    let mut found = Vec::new();
    names(old, new, &mut found);
    let scope = |kind: &Kind| match kind.scope {
        Scope::Namespaced => "Namespaced",
        Scope::Cluster => "Cluster",
    };
    if old.scope != new.scope {
        found.push(at("spec.scope", Change::Scope { old: scope(old), new: scope(new) }, Hurt::Both));
    }
    backends(old, new, &mut found);
    storage(old, new, &mut found);
    for version in &old.versions {
        let compared = match new.versions.iter().find(|other| other.name == version.name) {
            Some(other) => versions(version, other),
            None => {
                let stored = old.storage_version().is_some_and(|storage| storage.name == version.name);
                let hurts = match (stored, version.serving) {
                    (true, Serving::Hidden) => Hurt::Stored,
                    (true, Serving::Served) => Hurt::Both,
                    (false, Serving::Served) => Hurt::Clients,
                    (false, Serving::Hidden) => continue,
                };
                vec![at("spec.versions", Change::VersionRemoved, hurts)]
            }
        };
        found.extend(compared.into_iter().map(|one| Break { version: Some(version.name.clone()), ..one }));
    }
    found
}

fn at(path: &str, change: Change, hurts: Hurt) -> Break {
    Break { version: None, path: path.to_owned(), change, hurts }
}

fn names(old: &Kind, new: &Kind, found: &mut Vec<Break>) {
    let (was, is) = (&old.names, &new.names);
    let compared = [
        ("spec.group", NameOf::Group, &old.group, &new.group, Hurt::Both),
        ("spec.names.kind", NameOf::Kind, &was.kind, &is.kind, Hurt::Both),
        ("spec.names.plural", NameOf::Plural, &was.plural, &is.plural, Hurt::Both),
        ("spec.names.listKind", NameOf::ListKind, &was.list_kind, &is.list_kind, Hurt::Clients),
        ("spec.names.singular", NameOf::Singular, &was.singular, &is.singular, Hurt::Clients),
    ];
    for (path, of, old, new, hurts) in compared {
        if old != new {
            found.push(at(path, Change::Name { of, old: old.clone(), new: new.clone() }, hurts));
        }
    }
    for name in was.short_names.iter().filter(|name| !is.short_names.contains(name)) {
        found.push(at("spec.names.shortNames", Change::ShortNameRemoved { name: name.clone() }, Hurt::Clients));
    }
    for name in was.categories.iter().filter(|name| !is.categories.contains(name)) {
        found.push(at("spec.names.categories", Change::CategoryRemoved { name: name.clone() }, Hurt::Clients));
    }
}

fn backends(old: &Kind, new: &Kind, found: &mut Vec<Break>) {
    let name = |kind: &Kind| match kind.backend {
        KindBackend::Release(_) => "a HelmRelease",
        KindBackend::Stored => "the object itself",
    };
    match (&old.backend, &new.backend) {
        (KindBackend::Stored, KindBackend::Stored) => {}
        (KindBackend::Release(was), KindBackend::Release(is)) => {
            let (was, is) = (&was.settings, &is.settings);
            if was.prefix != is.prefix {
                let change = Change::ReleasePrefix { old: was.prefix.clone(), new: is.prefix.clone() };
                found.push(at("spec.backend.helmRelease.prefix", change, Hurt::Both));
            }
            // The version of a chart is not part of what a release is.
            let chart = |chart: &Option<kindsmith_crds::Chart>| {
                chart.as_ref().map(|chart| (chart.spec.chart.clone(), chart.spec.source_ref.clone()))
            };
            if was.chart_ref != is.chart_ref || chart(&was.chart) != chart(&is.chart) {
                found.push(at("spec.backend.helmRelease", Change::ReleaseChart, Hurt::Both));
            }
        }
        _ => {
            let change = Change::Backend { old: name(old), new: name(new) };
            found.push(at("spec.backend", change, Hurt::Both));
        }
    }
}

/// Instances are stored in one version and read in all; with another storage version they are read by its schema.
fn storage(old: &Kind, new: &Kind, found: &mut Vec<Break>) {
    let (Some(was), Some(is)) = (old.storage_version(), new.storage_version()) else { return };
    if was.name == is.name {
        return;
    }
    let change = Change::StorageVersion { old: was.name.clone(), new: is.name.clone() };
    found.push(at("spec.versions", change, Hurt::Stored));
    let lost = schemas(was, is).filter(|one| one.hurts.stored());
    found.extend(lost.map(|one| Break { version: Some(is.name.clone()), hurts: Hurt::Stored, ..one }));
}

fn versions(old: &KindVersion, new: &KindVersion) -> Vec<Break> {
    let mut found = Vec::new();
    if old.serving == Serving::Served && new.serving == Serving::Hidden {
        found.push(at("spec.versions", Change::NoLongerServed, Hurt::Clients));
    }
    match (old.status, new.status) {
        (StatusRole::Subresource, StatusRole::Field) => {
            found.push(at("spec.versions.subresources.status", Change::StatusRemoved, Hurt::Clients));
        }
        (StatusRole::Field, StatusRole::Subresource) => {
            found.push(at("spec.versions.subresources.status", Change::StatusSplit, Hurt::Clients));
        }
        // Another backend is told apart.
        _ => {}
    }
    match (&old.scale, &new.scale) {
        (Some(_), None) => {
            found.push(at("spec.versions.subresources.scale", Change::ScaleRemoved, Hurt::Clients));
        }
        (Some(was), Some(is)) if was != is => {
            found.push(at("spec.versions.subresources.scale", Change::ScaleMoved, Hurt::Clients));
        }
        _ => {}
    }
    for field in &old.selectable_fields {
        if !new.selectable_fields.iter().any(|other| other.name == field.name) {
            let change = Change::SelectableFieldRemoved { name: field.name.clone() };
            found.push(at("spec.versions.selectableFields", change, Hurt::Clients));
        }
    }
    let columns = new.columns.definitions();
    for column in old.columns.definitions() {
        let name = column["name"].as_str().unwrap_or_default();
        if !columns.iter().any(|other| other["name"] == name) {
            let change = Change::ColumnRemoved { name: name.to_owned() };
            found.push(at("spec.versions.additionalPrinterColumns", change, Hurt::Clients));
        }
    }
    found.extend(schemas(old, new));
    found
}

/// What another schema breaks, but in what is told anew with each reading: notes and access may change as columns do.
fn schemas(old: &KindVersion, new: &KindVersion) -> impl Iterator<Item = Break> {
    let is_told = move |one: &Break| {
        [old, new].iter().any(|version| version.usage.as_ref().is_some_and(|it| it.tells(&one.path)))
    };
    compare(&old.schema, &new.schema).into_iter().filter(move |one| !is_told(one))
}
