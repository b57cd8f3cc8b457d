//! How an instance is used: the notes that its status shows, and how it is reached.
//!
//! Both are texts with expressions over the instance as a version shows it. They are filled in each time an instance is shown,
//! after everything else, so that reads, lists, watches and columns have them and nobody has to write them. Secrets are named and
//! never read.
//!
//! A text is left out as a whole, and an entry as well, where an expression in it has no value, fails or costs too much, or where
//! it would be too long: half an address is none.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::cel::template::{Condition, Filling, Template};
use kindsmith_cel::declared::Declared;
use kindsmith_cel::is_subdomain;

/// The longest notes, as they are written and as they are shown, in bytes.
pub const NOTES_BYTES_MAX: usize = 16 << 10;

/// The longest text of an entry, as it is written and as it is shown, in bytes.
pub const ACCESS_TEXT_BYTES_MAX: usize = 2 << 10;

/// The most entries.
pub const ACCESS_ENTRIES_MAX: usize = 64;

/// What all entries of an instance show at most, in bytes of their texts.
pub const ACCESS_BYTES_MAX: usize = 32 << 10;

/// The longest name of a Secret, and of a key in it, in bytes.
const SECRET_BYTES_MAX: usize = 253;

/// Fields of the status that texts are shown in.
pub(crate) const NOTES: &str = "notes";
pub(crate) const ACCESS: &str = "access";

/// What a version tells users of its instances.
#[derive(Clone, Debug)]
pub struct Usage {
    /// What expressions see of an instance.
    pub(crate) declared: Arc<Declared>,
    /// The fields of the status that are its own.
    pub(crate) fields: Vec<&'static str>,
    /// The notes.
    pub(crate) notes: Option<Template>,
    /// How instances are reached.
    pub(crate) access: Vec<Entry>,
}

/// One thing that users of an instance need.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) when: Option<Condition>,
    pub(crate) description: Option<Template>,
    pub(crate) host: Option<Template>,
    pub(crate) port: Option<Template>,
    pub(crate) url: Option<Template>,
    /// The name of a Secret, and a key in it.
    pub(crate) secret: Option<(Template, Option<Template>)>,
}

/// What is wrong with a text in the place where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TextFault {
    #[error("must not have control characters, and line breaks in notes and descriptions alone")]
    Control,
    #[error("must be a port: a number from 1 to 65535")]
    Port,
    #[error("must be the name of a Secret: lower case letters, digits, '-' and '.'")]
    SecretName,
    #[error("must be a key of a Secret: letters, digits, '-', '_' and '.'")]
    SecretKey,
}

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Something to be read, in lines.
    Prose,
    /// A host or a URL.
    Address,
    Port,
    SecretName,
    SecretKey,
}

impl Role {
    /// Judges a text that is not empty.
    pub(crate) fn check(self, text: &str) -> Result<(), TextFault> {
        let is_control = |character: char| match self {
            Self::Prose => character.is_control() && !matches!(character, '\n' | '\t'),
            _ => character.is_control(),
        };
        if text.contains(is_control) {
            return Err(TextFault::Control);
        }
        match self {
            Self::Prose | Self::Address => Ok(()),
            Self::Port => port_number(text).map(|_| ()).ok_or(TextFault::Port),
            Self::SecretName => is_secret_name(text).then_some(()).ok_or(TextFault::SecretName),
            Self::SecretKey => is_key(text).then_some(()).ok_or(TextFault::SecretKey),
        }
    }
}

fn port_number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// Whether a text can be the name of a Secret.
fn is_secret_name(text: &str) -> bool {
    text.len() <= SECRET_BYTES_MAX && is_subdomain(text)
}

/// Whether a text is a key of a Secret.
fn is_key(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= SECRET_BYTES_MAX && !matches!(text, "" | "." | "..") && text.bytes().all(fits)
}

impl Usage {
    /// Whether a field of instances, such as `status.access[*].port`, is told by this.
    #[must_use]
    pub fn tells(&self, path: &str) -> bool {
        let Some(below) = path.strip_prefix("status.") else { return false };
        self.fields
            .iter()
            .any(|field| below.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
    }

    /// Fills in what an instance shows. Whatever stood there before is gone.
    pub fn show(&self, instance: &mut Value) {
        let mut shown = Map::new();
        let mut filling = Filling::new(instance, &self.declared);
        let access = self.filled_access(&mut filling);
        let notes = self.notes.as_ref().and_then(|notes| filled(notes, Role::Prose, NOTES_BYTES_MAX, &mut filling));
        shown.extend(notes.filter(|notes| !notes.is_empty()).map(|notes| (NOTES.to_owned(), json!(notes))));
        if !access.is_empty() {
            shown.insert(ACCESS.to_owned(), Value::Array(access));
        }
        let Some(instance) = instance.as_object_mut() else { return };
        if let Some(status) = instance.get_mut("status") {
            let Some(status) = status.as_object_mut() else { return };
            status.retain(|name, _| !self.fields.contains(&name.as_str()));
            status.extend(shown);
        } else if !shown.is_empty() {
            instance.insert("status".to_owned(), Value::Object(shown));
        }
    }

    fn filled_access<'a>(&'a self, filling: &mut Filling<'a>) -> Vec<Value> {
        let mut room = ACCESS_BYTES_MAX;
        let mut shown = Vec::new();
        for entry in &self.access {
            let Some(filled) = entry.filled(filling) else { continue };
            let bytes = text_bytes(&filled);
            if bytes <= room {
                room -= bytes;
                shown.push(Value::Object(filled));
            }
        }
        shown
    }
}

impl Entry {
    /// The entry about an instance; none where it does not hold, lacks a value or says nothing.
    fn filled<'a>(&'a self, filling: &mut Filling<'a>) -> Option<Map<String, Value>> {
        if let Some(when) = &self.when
            && !when.holds(filling)?
        {
            return None;
        }
        let mut text = |template: &'a Option<Template>, role| match template {
            Some(template) => filled(template, role, ACCESS_TEXT_BYTES_MAX, filling).map(Some),
            None => Some(None),
        };
        let mut entry = Map::new();
        let mut add = |name: &str, value: Option<Value>| entry.extend(value.map(|value| (name.to_owned(), value)));
        let description = text(&self.description, Role::Prose)?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let host = given(text(&self.host, Role::Address)?).map(Value::from);
        let port = given(text(&self.port, Role::Port)?).and_then(|text| port_number(&text)).map(Value::from);
        let url = given(text(&self.url, Role::Address)?).map(Value::from);
        let secret = match &self.secret {
            Some((name, key)) => match filled_secret(name, key.as_ref(), filling)? {
                secret if secret.is_empty() => None,
                secret => Some(Value::Object(secret)),
            },
            None => None,
        };
        if host.is_none() && port.is_none() && url.is_none() && secret.is_none() {
            return None;
        }
        add("name", Some(json!(self.name)));
        add("description", given(description).map(Value::from));
        add("host", host);
        add("port", port);
        add("url", url);
        add("secret", secret);
        Some(entry)
    }
}

/// The name of a Secret and of its key; nothing where the name is empty.
fn filled_secret<'a>(
    name: &'a Template,
    key: Option<&'a Template>,
    filling: &mut Filling<'a>,
) -> Option<Map<String, Value>> {
    let mut secret = Map::new();
    let name = filled(name, Role::SecretName, ACCESS_TEXT_BYTES_MAX, filling)?;
    let key = match key {
        Some(key) => filled(key, Role::SecretKey, ACCESS_TEXT_BYTES_MAX, filling)?,
        None => String::new(),
    };
    if !name.is_empty() {
        secret.insert("name".to_owned(), json!(name));
        secret.extend(Some(key).filter(|key| !key.is_empty()).map(|key| ("key".to_owned(), json!(key))));
    }
    Some(secret)
}

/// The text about an instance; none where it has none, or is not what its role wants.
fn filled<'a>(template: &'a Template, role: Role, bytes_max: usize, filling: &mut Filling<'a>) -> Option<String> {
    template.fill(filling, bytes_max).filter(|text| text.is_empty() || role.check(text).is_ok())
}

/// The bytes of all texts in an entry.
fn text_bytes(entry: &Map<String, Value>) -> usize {
    let of = |value: &Value| match value {
        Value::String(text) => text.len(),
        Value::Object(members) => text_bytes(members),
        _ => 0,
    };
    entry.values().map(of).sum()
}

/// The schema of a field of the status that texts are shown in.
pub(crate) fn field_schema(field: &str) -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    if field == NOTES {
        return text("How this object is used, in the words of its definition.");
    }
    json!({
        "type": "array",
        "description": "How this object is reached: hosts, ports, URLs, and names of Secrets in the same namespace.",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": text("What the entry is called."),
                "description": text("What it is for."),
                "host": text("A name in DNS, or an address."),
                "port": {"type": "integer", "format": "int32", "description": "A port."},
                "url": text("A URL."),
                "secret": {
                    "type": "object",
                    "description": "A Secret, which is named here and not read.",
                    "required": ["name"],
                    "properties": {
                        "name": text("The name of the Secret."),
                        "key": text("The key in the Secret; the whole Secret is meant when absent.")
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests;
