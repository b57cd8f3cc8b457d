//! How instances are used, as far as a chart says it plainly: notes out of NOTES.txt, and access entries out of its Services,
//! Ingresses and Secrets. What is not plain leaves a place for somebody to fill, as a comment.

use kindsmith_schema::{
    compile::OwnStorage,
    form::DefinitionForm,
    usage::{ACCESS_ENTRIES_MAX, NOTES_BYTES_MAX},
};
use serde_json::{Map, Value, json};

use super::{
    chart::Chart,
    names,
    templates::plain::{Plain, PlainDocument},
};

/// Where a chart's notes are.
const NOTES: &str = "templates/NOTES.txt";

/// Where objects are that are there for `helm test` alone.
const TESTS: &str = "templates/tests/";

/// How many templates are named that were not understood.
const NAMED_MAX: usize = 5;

/// The kinds of objects by which an application is used.
const KINDS: [&str; 3] = ["Service", "Ingress", "Secret"];

/// What a definition can say of how instances are used.
#[derive(Debug, Default)]
pub(super) struct Suggestion {
    notes: Option<String>,
    access: Vec<Value>,
    /// Whether the chart has notes that were not understood.
    has_other_notes: bool,
    /// Templates with objects that were not understood.
    others: Vec<String>,
}

/// What a chart says of it, over values of the schema `spec`.
pub(super) fn suggest(chart: &Chart, spec: &Value) -> Suggestion {
    let plain = Plain::new(chart, spec);
    let mut suggestion = Suggestion::default();
    for (path, text) in &chart.templates {
        if path == NOTES {
            let notes = plain.whole(text).map(|notes| format!("{}\n", notes.trim()));
            suggestion.notes = notes.filter(|notes| notes.len() > 1 && notes.len() <= NOTES_BYTES_MAX);
            suggestion.has_other_notes = suggestion.notes.is_none() && !text.trim().is_empty();
            continue;
        }
        if !names_a_kind(text) || path.starts_with(TESTS) || chart.is_library {
            continue;
        }
        let before = suggestion.access.len();
        for document in plain.documents(text) {
            for entry in entries(&document) {
                add(&mut suggestion.access, entry);
            }
        }
        if suggestion.access.len() == before {
            suggestion.others.push(path.clone());
        }
    }
    suggestion
}

/// Whether a template seems to make an object by which an application is used.
fn names_a_kind(text: &str) -> bool {
    let mut kinds = text.lines().filter_map(|line| line.trim_end().strip_prefix("kind: "));
    kinds.any(|kind| KINDS.contains(&kind))
}

/// Adds an entry under a name that no other has.
fn add(access: &mut Vec<Value>, mut entry: Value) {
    let name = entry["name"].as_str().unwrap_or_default().to_owned();
    let is_taken = |name: &str| access.iter().any(|other| other["name"] == name);
    let mut number = 1;
    let mut own = name.clone();
    while is_taken(&own) {
        number += 1;
        own = format!("{name}-{number}");
    }
    entry["name"] = json!(own);
    if access.len() < ACCESS_ENTRIES_MAX {
        access.push(entry);
    }
}

/// The entries for an object.
fn entries(document: &PlainDocument) -> Vec<Value> {
    let object = &document.object;
    let Some(name) = object.pointer("/metadata/name").and_then(|name| document.text(name)) else { return Vec::new() };
    let found = match object["kind"].as_str() {
        Some("Service") => of_service(document, &name),
        Some("Ingress") => of_ingress(document),
        Some("Secret") => of_secret(document, &name),
        _ => Vec::new(),
    };
    found.into_iter().map(|entry| with_condition(entry, document)).collect()
}

fn with_condition(mut entry: Value, document: &PlainDocument) -> Value {
    if let Some(when) = &document.when {
        entry["when"] = json!(when);
    }
    entry
}

fn of_service(document: &PlainDocument, name: &str) -> Vec<Value> {
    let spec = &document.object["spec"];
    // A Service without an address tells pods apart and is nobody's to use.
    if spec["clusterIP"] == "None" {
        return Vec::new();
    }
    let host = format!("{name}.${{self.metadata.namespace}}.svc");
    let entry = |port: &Value| {
        let number = document.text(port.get("port")?)?;
        let called = port.get("name").and_then(|name| document.text(name)).filter(|name| !name.contains("${"));
        let called = called.map(|name| names::object(&name)).filter(|name| !name.is_empty());
        let mut entry = json!({
            "name": label(called.as_deref().unwrap_or("service")),
            "description": "From inside of the cluster.",
            "host": host,
            "port": number.parse::<u16>().map_or_else(|_| json!(number), |port| json!(port)),
        });
        if let Some(scheme @ ("http" | "https")) = called.as_deref() {
            entry["url"] = json!(format!("{scheme}://{host}:{number}"));
        }
        Some(entry)
    };
    spec["ports"].as_array().into_iter().flatten().filter_map(entry).collect()
}

fn of_ingress(document: &PlainDocument) -> Vec<Value> {
    let rules = document.object.pointer("/spec/rules").and_then(Value::as_array);
    let host = |rule: &Value| document.text(rule.get("host")?);
    let entry = |host| json!({"name": "web", "description": "From outside of the cluster.", "host": host});
    rules.into_iter().flatten().filter_map(host).map(entry).collect()
}

fn of_secret(document: &PlainDocument, name: &str) -> Vec<Value> {
    let empty = Map::new();
    let keys = ["data", "stringData"].map(|member| document.object[member].as_object().unwrap_or(&empty).keys());
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let keys = keys.into_iter().flatten().filter(|key| key.chars().all(fits));
    let entry = |key: &String| {
        json!({"name": label(&names::object(key)), "description": format!("The key {key} of a Secret."),
            "secret": {"name": name, "key": key}})
    };
    keys.filter(|key| !names::object(key).is_empty()).map(entry).collect()
}

/// A name that an entry can have: it begins with a letter.
fn label(name: &str) -> String {
    const LABEL_BYTES_MAX: usize = 48;
    let mut label =
        if name.starts_with(|first: char| first.is_ascii_digit()) { format!("n{name}") } else { name.to_owned() };
    label.truncate(LABEL_BYTES_MAX);
    label.trim_end_matches('-').to_owned()
}

impl Suggestion {
    /// Puts into a definition what it takes.
    pub(super) fn apply(&mut self, definition: &mut Value) {
        const VERSION: &str = "/spec/versions/0";
        let is_taken = |definition: &Value| DefinitionForm::Kindsmith.compile(definition, OwnStorage::Absent).is_ok();
        let members = [("notes", self.notes.clone().map(Value::from)), ("access", Some(json!(self.access)))];
        for (member, value) in members {
            let Some(value) = value.filter(|value| value != &json!([])) else { continue };
            let mut with = definition.clone();
            let Some(version) = with.pointer_mut(VERSION).and_then(Value::as_object_mut) else { return };
            version.insert(member.to_owned(), value);
            if is_taken(&with) {
                *definition = with;
            } else if member == "notes" {
                (self.notes, self.has_other_notes) = (None, true);
            } else {
                self.access.clear();
            }
        }
    }

    /// What is left to somebody, as comments in the version of a definition.
    pub(super) fn comments(&self, chart: &Chart) -> Vec<String> {
        let mut lines = Vec::new();
        let release = format!("{}${{self.metadata.name}}", names::prefix(&chart.name));
        let host = format!("{release}.${{self.metadata.namespace}}.svc");
        if self.notes.is_none() {
            let why =
                if self.has_other_notes { format!(", as {NOTES} is more than plain text") } else { String::new() };
            lines.push(format!("# What users of an instance should know{why}:"));
            lines.extend(["# notes: |".to_owned(), format!("#   Clients in the cluster use {host}.")]);
        }
        if !self.others.is_empty() {
            let (named, more) = self.others.split_at(self.others.len().min(NAMED_MAX));
            let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            lines.push(format!("# Look through for further entries of access: {}{more}", named.join(", ")));
        } else if self.access.is_empty() {
            lines.push("# How an instance is reached:".to_owned());
        }
        if self.access.is_empty() {
            lines.extend([
                "# access:".to_owned(),
                format!("# - {{name: client, description: For clients in the cluster., host: \"{host}\", port: 80}}"),
                format!(
                    "# - {{name: password, description: The password., secret: {{name: \"{release}\", key: password}}}}"
                ),
            ]);
        }
        lines
    }
}

#[cfg(test)]
mod tests;
