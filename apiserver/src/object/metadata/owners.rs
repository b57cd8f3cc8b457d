//! `ownerReferences`: each owner once.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/rest.go (dedupOwnerReferencesAndAddWarning).

use serde_json::Value;

/// When duplicates are looked for; it decides what the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// In the object that was sent.
    AsSent,
    /// In what a patch made.
    AfterPatch,
}

/// Drops owner references that are there before, and returns the warning about them.
pub fn dedupe(object: &mut Value, noticed: Noticed) -> Option<String> {
    let references = object.pointer_mut("/metadata/ownerReferences")?.as_array_mut()?;
    let mut kept: Vec<Value> = Vec::with_capacity(references.len());
    let mut duplicates = Vec::new();
    for reference in references.drain(..) {
        if kept.contains(&reference) {
            duplicates.push(reference["uid"].as_str().unwrap_or_default().to_owned());
        } else {
            kept.push(reference);
        }
    }
    *references = kept;
    if duplicates.is_empty() {
        return None;
    }
    let when = match noticed {
        Noticed::AsSent => "",
        Noticed::AfterPatch => " after mutating admission happens",
    };
    Some(format!(
        ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and may \
         reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
        duplicates.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_owner_that_is_there_twice_is_kept_once_with_a_warning() {
        let owner = |name: &str| json!({"name": name, "uid": "1"});
        let mut object = json!({"metadata": {"ownerReferences": [owner("a"), owner("b"), owner("a")]}});
        let warning = dedupe(&mut object, Noticed::AsSent).unwrap();
        assert!(warning.ends_with("duplicate UID(s) observed: 1"), "{warning}");
        assert_eq!(object["metadata"]["ownerReferences"], json!([owner("a"), owner("b")]));
        assert_eq!(dedupe(&mut object, Noticed::AsSent), None);
    }
}
