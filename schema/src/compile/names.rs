//! Names of a definition: its group, its kind and what else it is called.

use std::sync::LazyLock;

use kindsmith_crds::Names;
use regex::Regex;
use serde_json::json;

use super::{DefinitionNames, Rules};
use crate::{
    field::{FieldError, FieldPath},
    groups,
    kind::KindNames,
};

static DNS_1035_LABEL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$").ok());
static DNS_1123_SUBDOMAIN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").ok());

const DNS_1035_TEXT: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Whether a text is as a pattern wants it. A pattern that is none fits nothing.
pub(super) fn is(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// Tells when a name is no DNS label.
pub(super) fn check_label(name: &str, at: &FieldPath, errors: &mut Vec<FieldError>) {
    if !is(&DNS_1035_LABEL, name) {
        errors.push(FieldError::invalid(at, &json!(name), DNS_1035_TEXT));
    }
}

/// Whether a definition can have kinds in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GroupUse {
    /// The group is the definition's to use, whatever else may be wrong with its name.
    Open,
    /// The group belongs to somebody else: no kind may come of the definition, not even of one that was accepted before.
    Foreign,
}

/// Tells what is wrong with a group.
pub(super) fn check_group(group: &str, rules: &Rules, at: &FieldPath, errors: &mut Vec<FieldError>) -> GroupUse {
    if group.is_empty() {
        errors.push(FieldError::required(at, ""));
    } else if !is(&DNS_1123_SUBDOMAIN, group) || group.len() > 253 {
        errors.push(FieldError::invalid(
            at,
            &json!(group),
            "a lowercase RFC 1123 subdomain must consist of lower case \
            alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
        ));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid(at, &json!(group), "should be a domain with at least one dot"));
    } else if let Some(owner) = groups::owner(group).filter(|_| rules.names == DefinitionNames::PluralAndGroup) {
        let told = format!("belongs to {owner}; use a domain of your own");
        errors.push(FieldError::invalid(at, &json!(group), &told));
        return GroupUse::Foreign;
    }
    GroupUse::Open
}

pub(super) fn names(names: &Names, at: &FieldPath, errors: &mut Vec<FieldError>) -> KindNames {
    let singular = names.singular.clone().unwrap_or_else(|| names.kind.to_lowercase());
    let list_kind = names.list_kind.clone().unwrap_or_else(|| format!("{}List", names.kind));
    let mut label = |at: FieldPath, name: &str| {
        if name.is_empty() {
            errors.push(FieldError::required(&at, ""));
        } else {
            check_label(name, &at, errors);
        }
    };
    label(at.child("plural"), &names.plural);
    label(at.child("singular"), &singular);
    label(at.child("kind"), &names.kind.to_lowercase());
    label(at.child("listKind"), &list_kind.to_lowercase());
    for (index, short) in names.short_names.iter().enumerate() {
        label(at.child("shortNames").index(index), short);
    }
    for (index, category) in names.categories.iter().enumerate() {
        label(at.child("categories").index(index), category);
    }
    if names.kind == list_kind {
        errors.push(FieldError::invalid(
            &at.child("listKind"),
            &json!(list_kind),
            "kind and listKind may not be the same",
        ));
    }
    KindNames {
        kind: names.kind.clone(),
        list_kind,
        plural: names.plural.clone(),
        singular,
        short_names: names.short_names.clone(),
        categories: names.categories.clone(),
    }
}
