//! Selectors: parsing ends, and what was parsed can be asked.

use std::collections::BTreeMap;

use crate::request::{FieldSelector, LabelSelector};

/// `data` is a selector; it is read as one of labels and as one of fields.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(selector) = LabelSelector::parse(text) {
        let first = selector.requirements().first();
        assert_eq!(first.is_none(), selector.is_empty());
        let labels: BTreeMap<&str, &str> = selector
            .requirements()
            .iter()
            .map(|one| (one.key(), one.values().first().map(String::as_str).unwrap_or_default()))
            .collect();
        let selected = selector.matches(|key| labels.get(key).copied());
        assert!(!selector.is_empty() || selected);
        selector.matches(|_| None);
    }
    if let Ok(selector) = FieldSelector::parse(text) {
        assert_eq!(selector.requirements().is_empty(), selector.is_empty());
        selector.matches(|_| None);
        selector.matches(|field| (field.len() > 3).then_some("value"));
        for field in selector.fields() {
            selector.exact(field);
        }
    }
}
