//! What was found, as lines for people or as JSON.

use kindsmith_schema::kind::{Kind, KindBackend};
use serde_json::{Value, json};

use super::judge::Judged;

/// One line a finding or a warning; one line for each definition without faults.
pub(super) fn text(judged: &[Judged]) -> String {
    let mut lines = Vec::new();
    for one in judged {
        let file = &one.file;
        let name = if one.name.is_empty() { "a definition without a name" } else { &one.name };
        for fault in &one.faults {
            let field = if fault.field.is_empty() { String::new() } else { format!("{}: ", fault.field) };
            lines.push(format!("{file}: {name}: {field}{}", fault.message));
        }
        if let Some(kind) = one.kind.as_ref().filter(|_| one.faults.is_empty()) {
            lines.push(format!("{file}: ok: {}", described(kind)));
        }
        for note in notes(one) {
            lines.push(format!("{file}: {name}: note: {note}"));
        }
        for lost in one.kind.iter().flat_map(Kind::lost_fields) {
            lines.push(format!("{file}: {name}: warning: {lost}"));
        }
        for broken in &one.breaks {
            lines.push(format!("{file}: {name}: breaks {broken}"));
        }
    }
    let faults: usize = judged.iter().map(|one| one.faults.len()).sum();
    let breaks: usize = judged.iter().map(|one| one.breaks.len()).sum();
    for (count, noun, nouns) in [(faults, "fault", "faults"), (breaks, "breaking change", "breaking changes")] {
        if count > 0 {
            lines.push(format!("{count} {}", if count == 1 { noun } else { nouns }));
        }
    }
    lines.join("\n") + "\n"
}

/// `apps.example.com/v1 Redis (redises)`.
fn described(kind: &Kind) -> String {
    let versions: Vec<&str> = kind.served_versions().map(|version| version.name.as_str()).collect();
    format!("{}/{} {} ({})", kind.group, versions.join(","), kind.names.kind, kind.names.plural)
}

/// What is no fault, and somebody may not expect.
fn notes(one: &Judged) -> Vec<String> {
    let adopted = one.kind.as_ref().and_then(|kind| match &kind.backend {
        KindBackend::Release(template) => template.adopted(),
        KindBackend::Stored => None,
    });
    let adopted = adopted
        .map(|releases| format!("releases made by hand are instances too: {releases}; adopt: Labels leaves them out"));
    adopted.into_iter().chain(one.collision.as_ref().map(ToString::to_string)).collect()
}

/// The same for programs.
pub(super) fn json(judged: &[Judged]) -> Value {
    let definitions: Vec<Value> = judged
        .iter()
        .map(|one| {
            let faults: Vec<Value> =
                one.faults.iter().map(|fault| json!({"field": fault.field, "message": fault.message})).collect();
            let breaks: Vec<Value> = one
                .breaks
                .iter()
                .map(|broken| {
                    json!({
                        "version": broken.version,
                        "path": broken.path,
                        "message": broken.change.to_string(),
                        "hurts": {"stored": broken.hurts.stored(), "clients": broken.hurts.clients()},
                    })
                })
                .collect();
            json!({
                "file": one.file,
                "name": one.name,
                "kind": one.kind.as_ref().map(|kind| json!({
                    "group": kind.group,
                    "kind": kind.names.kind,
                    "plural": kind.names.plural,
                    "servedVersions": kind.served_versions().map(|version| &version.name).collect::<Vec<_>>(),
                })),
                "faults": faults,
                "warnings": one.kind.iter().flat_map(Kind::lost_fields).map(|lost| lost.to_string()).collect::<Vec<_>>(),
                "notes": notes(one),
                "breaks": breaks,
            })
        })
        .collect();
    json!({"sound": judged.iter().all(Judged::is_sound), "definitions": definitions})
}
