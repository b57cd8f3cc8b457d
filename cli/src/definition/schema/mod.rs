//! `values.schema.json` as a structural schema: what structural schemas do not have is left out, and so only widens.
//!
//! `read` makes a `shape` of each schema, of which `meet` and `join` make one where several hold; `render` writes it.
//! `types` are sets of types. One thing is read as Kubernetes does and not as JSON schema: who names fields and says
//! nothing of others means those alone.

/// Sets of types.
mod types;

/// What is known about a value.
mod shape;

/// Two schemas that both hold.
mod meet;

/// Two schemas of which one holds.
mod join;

/// From JSON schema to shapes.
mod read;

/// From shapes to structural schemas.
mod render;

/// How it goes with schemas as charts have them.
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::warnings::Warnings;

pub(super) use read::{DEPTH_MAX, NODES_MAX};
pub(super) use render::PRESERVE;

/// A structural schema of values, of which `values` are those that the chart comes with; what is left out on the way is
/// told.
pub(super) fn structural(schema: &Value, values: &Value, warnings: &mut Warnings) -> Value {
    let mut made = render::render(read::read(schema, values, warnings));
    if made["type"] != "object" {
        return json!({"type": "object", PRESERVE: true});
    }
    if let Some(members) = made.as_object_mut() {
        members.remove("nullable");
    }
    made
}
