//! The bill of materials of the binary, in CycloneDX.
//!
//! Source: cyclonedx.org/docs/1.6/json.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::parts::Part;

/// The document, as of a time.
///
/// # Errors
/// kindsmith itself is none of the parts.
pub(crate) fn document(parts: &BTreeMap<String, Part>, created: &str) -> anyhow::Result<String> {
    let own = parts.values().find(|part| part.name == "kindsmith").context("kindsmith is no part of itself")?;
    let component = |part: &Part| {
        let mut component = json!({
            "type": if part.key() == own.key() { "application" } else { "library" },
            "bom-ref": reference(part),
            "name": part.name,
            "version": part.version,
            "purl": reference(part),
        });
        if let Some(licence) = &part.licence {
            // A slash is how crates of old write "or".
            component["licenses"] = json!([{"expression": licence.replace('/', " OR ")}]);
        }
        component
    };
    let others: Vec<Value> = parts.values().filter(|part| part.key() != own.key()).map(component).collect();
    let needs =
        |part: &Part| -> Vec<String> { part.needs.iter().filter_map(|key| parts.get(key)).map(reference).collect() };
    let dependencies: Vec<Value> =
        parts.values().map(|part| json!({"ref": reference(part), "dependsOn": needs(part)})).collect();
    let mut document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"timestamp": created, "component": component(own)},
        "components": others,
        "dependencies": dependencies,
    });
    // A number of its own, the same for the same parts.
    let hash = Sha256::digest(document.to_string().as_bytes());
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    document["serialNumber"] = json!(format!(
        "urn:uuid:{}-{}-5{}-8{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..]
    ));
    Ok(format!("{document:#}\n"))
}

/// The package URL.
fn reference(part: &Part) -> String {
    let path = if part.is_ours { "generic" } else { "cargo" };
    format!("pkg:{path}/{}@{}", part.name, part.version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{arch::Arch, parts};

    #[test]
    fn every_part_is_there_once_and_refers_to_parts_that_are_there() {
        let parts = parts::of_binary(Arch::Amd64).unwrap();
        let text = document(&parts, "2026-11-30T00:00:00Z").unwrap();
        assert_eq!(text, document(&parts, "2026-11-30T00:00:00Z").unwrap());
        let bill: Value = serde_json::from_str(&text).unwrap();
        let components = bill["components"].as_array().unwrap();
        assert_eq!(components.len() + 1, parts.len());
        let own = &bill["metadata"]["component"];
        let known: HashSet<&str> =
            components.iter().chain([own]).filter_map(|component| component["bom-ref"].as_str()).collect();
        assert_eq!(known.len(), parts.len());
        for dependency in bill["dependencies"].as_array().unwrap() {
            let named = dependency["dependsOn"].as_array().unwrap().iter().chain([&dependency["ref"]]);
            assert!(named.into_iter().all(|reference| known.contains(reference.as_str().unwrap())));
        }
        let serial = bill["serialNumber"].as_str().unwrap();
        assert_eq!(serial.len(), "urn:uuid:00000000-0000-0000-0000-000000000000".len(), "{serial}");
    }
}
