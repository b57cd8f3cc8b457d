//! How instances of a version are reached: hosts, ports, URLs, and names of Secrets.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// One thing that users of an instance need, such as an endpoint or a password: an entry of `status.access`. Its texts may
/// have expressions in CEL: `${self.metadata.name}`. At least one of host, port, url and secret is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessEntry {
    /// What the entry is called, unique in the version: lower case letters, digits and dashes.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// What it is for, to be read by people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub description: Option<String>,
    /// A CEL expression over `self`: the entry is shown while it is true, for example `self.spec.external`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub when: Option<String>,
    /// A name in DNS, or an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub host: Option<String>,
    /// A port, 1 to 65535: a number, or a text that becomes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "port")]
    pub port: Option<AccessPort>,
    /// A URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub url: Option<String>,
    /// A Secret in the namespace of the instance. It is named and never read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<AccessSecret>,
}

/// A port of an access entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AccessPort {
    /// The port.
    Number(i64),
    /// A text that becomes the port.
    Text(String),
}

fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "A port, 1 to 65535: a number, or a text that becomes one.",
        "x-kubernetes-int-or-string": true
    })
}

/// The name of a Secret, and of a key in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessSecret {
    /// The name of the Secret; it may have expressions.
    #[schemars(length(min = 1, max = 2048))]
    pub name: String,
    /// The key; it may have expressions. The whole Secret is meant when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub key: Option<String>,
}
