//! What was found, as lines for people or as JSON.

use kindsmith_crds::Adopt;
use kindsmith_schema::kind::Kind;
use kindsmith_text::print::control_escape;
use serde_json::{Value, json};

use super::outcome::{Adopted, By, Outcome};

/// A line for each kind, each release of it, and each fault.
pub(super) fn text(outcome: &Outcome) -> String {
    let mut lines = Vec::new();
    for (index, kind) in outcome.kinds.iter().enumerate() {
        let own = || outcome.adopted.iter().filter(move |it| it.kind == index);
        lines.push(heading(kind, outcome, own().count(), own().filter(|it| it.by == By::Chart).count()));
        for adopted in own() {
            let Adopted { namespace, release, name, .. } = adopted;
            lines.push(format!(
                "{namespace}/{release}: {} {namespace}/{name}, by {}",
                kind.names.kind,
                adopted.by.word()
            ));
            lines.extend(
                adopted.faults.iter().map(|it| format!("{namespace}/{release}: breaks {}: {}", it.field, it.message)),
            );
            lines.extend(
                adopted.unknown.iter().map(|it| format!("{namespace}/{release}: {it} is not in the schema; it stays")),
            );
        }
    }
    let broken = outcome.adopted.iter().filter(|it| !it.faults.is_empty()).count();
    if broken > 0 {
        lines.push(format!(
            "{broken} of {} with values that do not fit the schema",
            counted(outcome.adopted.len(), "instance")
        ));
    }
    // Names and values may be anybody's.
    let shown = |line: &String| {
        line.chars()
            .map(|it| control_escape(it).map_or_else(|| it.to_string(), |it| it.to_string()))
            .collect::<String>()
    };
    lines.iter().map(shown).collect::<Vec<_>>().join("\n") + "\n"
}

fn heading(kind: &Kind, outcome: &Outcome, all: usize, by_chart: usize) -> String {
    let name = format!("{}.{}", kind.names.plural, kind.group);
    match Outcome::adopts(kind) {
        None => format!("{name}: has a store of its own, and no releases"),
        Some(adopt) => {
            let rule = if adopt == Adopt::Chart { "Chart" } else { "Labels" };
            format!(
                "{name}: {all} of {} {} of kind {}, {by_chart} of them made by hand (adopt: {rule})",
                counted(outcome.looked_at, "release"),
                if all == 1 { "is an instance" } else { "are instances" },
                kind.names.kind,
            )
        }
    }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The same for programs.
pub(super) fn json(outcome: &Outcome) -> Value {
    let definitions: Vec<Value> = outcome
        .kinds
        .iter()
        .map(|kind| {
            let adopt = Outcome::adopts(kind).map(|adopt| if adopt == Adopt::Chart { "Chart" } else { "Labels" });
            json!({"name": format!("{}.{}", kind.names.plural, kind.group), "kind": kind.names.kind, "adopt": adopt})
        })
        .collect();
    let releases: Vec<Value> = outcome
        .adopted
        .iter()
        .filter_map(|it| {
            let kind = outcome.kinds.get(it.kind)?;
            let faults: Vec<Value> =
                it.faults.iter().map(|fault| json!({"field": fault.field, "message": fault.message})).collect();
            Some(json!({
                "namespace": it.namespace, "release": it.release, "selectedBy": it.by.word(),
                "instance": {"group": kind.group, "kind": kind.names.kind, "name": it.name},
                "faults": faults, "unknown": it.unknown
            }))
        })
        .collect();
    json!({
        "sound": outcome.is_sound(), "lookedAt": outcome.looked_at, "definitions": definitions, "releases": releases
    })
}
