//! What a version tells users of its instances: its notes and its access entries, judged and compiled.

use std::sync::Arc;

use kindsmith_crds::{AccessEntry, AccessPort, Version};
use serde_json::{Map, Value, json};

use super::{names::check_label, version::count};
use crate::{
    cel::{
        declare,
        rules::{SCHEMA_COST_MAX, exceeding_factor},
        template::{Compiler, Condition, Template, TemplateFault},
    },
    field::{FieldError, FieldPath},
    kind::KindBackend,
    structural::Schema,
    usage::{
        ACCESS, ACCESS_ENTRIES_MAX, ACCESS_TEXT_BYTES_MAX, Entry, NOTES, NOTES_BYTES_MAX, Role, Usage, field_schema,
    },
};

/// Where a schema of a list has the fields of its items.
const ITEM_FIELDS: &str = "/items/properties";

/// The fields of the status that a version says something for.
fn fields(version: &Version) -> Vec<&'static str> {
    let notes = version.notes.as_ref().map(|_| NOTES);
    notes.into_iter().chain((!version.access.is_empty()).then_some(ACCESS)).collect()
}

/// The fields of the status that any version says something for.
pub(super) fn all_fields(versions: &[Version]) -> Vec<&'static str> {
    [NOTES, ACCESS].into_iter().filter(|field| versions.iter().any(|version| fields(version).contains(field))).collect()
}

/// Adds to the schema of a version, which is that of an instance of a release, what its status shows.
pub(super) fn describe(
    schema: &mut Value,
    version: &Version,
    backend: Option<&KindBackend>,
    at: &FieldPath,
    errors: &mut Vec<FieldError>,
) {
    let status_at = at.child("schema").child("openAPIV3Schema").child("properties").key("status");
    for field in fields(version) {
        let computed = match backend {
            Some(KindBackend::Release(template)) => {
                template.settings.status.iter().any(|computed| computed.name == field)
            }
            _ => false,
        };
        // The name of the computed field is refused.
        if computed {
            continue;
        }
        let status = schema.pointer_mut("/properties/status").and_then(Value::as_object_mut);
        let Some(status) = status else { continue };
        if status.contains_key("additionalProperties") {
            let detail = format!("leaves no place for status.{field}: name the fields of the status in properties");
            errors.push(FieldError::forbidden(&status_at.child("additionalProperties"), &detail));
            continue;
        }
        let properties = status.entry("properties").or_insert_with(|| json!({})).as_object_mut();
        if let Some(properties) = properties {
            add_field(properties, field, &status_at.child("properties").key(field), errors);
        }
    }
}

/// Adds a field, or what the definition leaves out of its own description.
fn add_field(properties: &mut Map<String, Value>, field: &str, at: &FieldPath, errors: &mut Vec<FieldError>) {
    let shown = field_schema(field);
    let Some(held) = properties.get_mut(field) else {
        properties.insert(field.to_owned(), shown);
        return;
    };
    if held.get("type") != shown.get("type") {
        let detail = format!("must be {} or left out: {field} of the version are shown there", shown["type"]);
        errors.push(FieldError::invalid(&at.child("type"), &held["type"], &detail));
        return;
    }
    let held = held.pointer_mut(ITEM_FIELDS).and_then(Value::as_object_mut);
    if let (Some(held), Some(shown)) = (held, shown.pointer(ITEM_FIELDS).and_then(Value::as_object)) {
        for (name, member) in shown {
            held.entry(name.clone()).or_insert_with(|| member.clone());
        }
    }
}

/// Compiles what a version tells, over instances of its schema.
pub(super) fn compile(
    version: &Version,
    schema: Option<&Schema>,
    backend: Option<&KindBackend>,
    at: &FieldPath,
    errors: &mut Vec<FieldError>,
) -> Option<Usage> {
    let fields = fields(version);
    if fields.is_empty() {
        return None;
    }
    if let Some(KindBackend::Stored) = backend {
        for field in fields {
            let detail = "with store the status is what users write; use helmRelease, or leave it out";
            errors.push(FieldError::forbidden(&at.child(field), detail));
        }
        return None;
    }
    let declared = declare::of_instance(schema?.root(), &[NOTES, ACCESS])?;
    let mut texts = Texts { compiler: Compiler::new(Arc::clone(&declared)), errors };
    let notes = version.notes.as_ref().and_then(|notes| texts.notes(notes, &at.child(NOTES)));
    let access = texts.access(&version.access, &at.child(ACCESS));
    let cost = texts.compiler.cost();
    if cost > SCHEMA_COST_MAX {
        let detail = format!(
            "the estimated cost of all expressions of notes and access exceeds the budget by a factor of {}: simplify them, or \
             add maxItems, maxProperties and maxLength where lists, maps and strings are declared",
            exceeding_factor(cost, SCHEMA_COST_MAX)
        );
        errors.push(FieldError::forbidden(at, &detail));
    }
    Some(Usage { declared, fields, notes, access })
}

/// Compiles texts, and notes what is wrong with them.
struct Texts<'e> {
    compiler: Compiler,
    errors: &'e mut Vec<FieldError>,
}

impl Texts<'_> {
    fn notes(&mut self, text: &str, at: &FieldPath) -> Option<Template> {
        self.text(text, Role::Prose, NOTES_BYTES_MAX, at)
    }

    fn access(&mut self, entries: &[AccessEntry], at: &FieldPath) -> Vec<Entry> {
        if entries.len() > ACCESS_ENTRIES_MAX {
            self.errors.push(FieldError::too_many(at, count(entries.len()), count(ACCESS_ENTRIES_MAX)));
        }
        let mut compiled: Vec<Entry> = Vec::new();
        for (index, entry) in entries.iter().take(ACCESS_ENTRIES_MAX).enumerate() {
            let at = at.index(index);
            if compiled.iter().any(|other| other.name == entry.name) {
                self.errors.push(FieldError::duplicate(&at.child("name"), &json!(entry.name)));
            }
            compiled.extend(self.entry(entry, &at));
        }
        compiled
    }

    /// An entry, unless something is wrong with it.
    fn entry(&mut self, entry: &AccessEntry, at: &FieldPath) -> Option<Entry> {
        let faults = self.errors.len();
        if entry.name.is_empty() {
            self.errors.push(FieldError::required(&at.child("name"), ""));
        } else {
            check_label(&entry.name, &at.child("name"), self.errors);
        }
        if entry.host.is_none() && entry.port.is_none() && entry.url.is_none() && entry.secret.is_none() {
            self.errors.push(FieldError::required(at, "at least one of host, port, url and secret must be set"));
        }
        let port = entry.port.as_ref().map(|port| match port {
            AccessPort::Number(port) => port.to_string(),
            AccessPort::Text(text) => text.clone(),
        });
        let when = entry.when.as_deref().and_then(|when| self.condition(when, &at.child("when")));
        let mut text = |text: Option<&str>, role, at: &FieldPath| {
            text.and_then(|text| self.text(text, role, ACCESS_TEXT_BYTES_MAX, at))
        };
        let description = text(entry.description.as_deref(), Role::Prose, &at.child("description"));
        let host = text(entry.host.as_deref(), Role::Address, &at.child("host"));
        let port = text(port.as_deref(), Role::Port, &at.child("port"));
        let url = text(entry.url.as_deref(), Role::Address, &at.child("url"));
        let secret_at = at.child("secret");
        let secret = entry.secret.as_ref().and_then(|secret| {
            let key = text(secret.key.as_deref(), Role::SecretKey, &secret_at.child("key"));
            Some((text(Some(secret.name.as_str()), Role::SecretName, &secret_at.child("name"))?, key))
        });
        let is_sound = self.errors.len() == faults;
        is_sound.then(|| Entry { name: entry.name.clone(), when, description, host, port, url, secret })
    }

    fn condition(&mut self, text: &str, at: &FieldPath) -> Option<Condition> {
        if self.is_too_long(text, ACCESS_TEXT_BYTES_MAX, at) {
            return None;
        }
        let compiled = self.compiler.condition(text);
        compiled.map_err(|fault| self.errors.push(fault_of(&fault, at))).ok()
    }

    fn text(&mut self, text: &str, role: Role, bytes_max: usize, at: &FieldPath) -> Option<Template> {
        if self.is_too_long(text, bytes_max, at) {
            return None;
        }
        let template = match self.compiler.template(text) {
            Ok(template) => template,
            Err(faults) => {
                self.errors.extend(faults.iter().map(|fault| fault_of(fault, at)));
                return None;
            }
        };
        // What expressions give is judged when it is shown.
        let constant = template.constant().filter(|text| !text.is_empty());
        if let Some(fault) = constant.and_then(|text| role.check(&text).err()) {
            self.errors.push(FieldError::invalid_text(at, text, &fault.to_string()));
            return None;
        }
        Some(template)
    }

    fn is_too_long(&mut self, text: &str, bytes_max: usize, at: &FieldPath) -> bool {
        let is_too_long = text.len() > bytes_max;
        if is_too_long {
            self.errors.push(FieldError::too_long(at, count(bytes_max)));
        }
        is_too_long
    }
}

fn fault_of(fault: &TemplateFault, at: &FieldPath) -> FieldError {
    FieldError::invalid_text(at, &fault.expression, &fault.detail)
}
