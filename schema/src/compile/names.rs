//! Names of a definition: its group, its kind and what else it is called.

use std::sync::LazyLock;

use kindsmith_crds::Names;
use regex::Regex;
use serde_json::json;

use crate::{
    field::{FieldError, FieldPath},
    kind::KindNames,
};

/// Groups that only Kubernetes and Kindsmith itself serve, besides `*.k8s.io` and `*.kubernetes.io`.
const RESERVED_GROUPS: [&str; 2] = [kindsmith_crds::GROUP, "helm.toolkit.fluxcd.io"];

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

pub(super) fn check_group(group: &str, at: &FieldPath, errors: &mut Vec<FieldError>) {
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
    } else if RESERVED_GROUPS.contains(&group)
        || ["k8s.io", "kubernetes.io"].iter().any(|own| group == *own || group.ends_with(&format!(".{own}")))
    {
        errors.push(FieldError::invalid(at, &json!(group), "belongs to the cluster itself; use a domain of your own"));
    }
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
