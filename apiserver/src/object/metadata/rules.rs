//! The rules of metadata that clients choose.
//!
//! Source: k8s.io/apimachinery/pkg/api/validation/objectmeta.go, pkg/util/validation/validation.go, and the warnings of
//! k8s.io/apiextensions-apiserver/pkg/registry/customresource/validator.go.

use kindsmith_text::print::quoted;
use std::{collections::BTreeSet, sync::LazyLock};

use kindsmith_schema::{
    field::{FieldError, FieldPath},
    kind::{Kind, KindBackend, Typing},
};
use regex::Regex;
use serde_json::{Map, Value, json};

use super::{generated_base, member};

/// The most bytes of all annotations together.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// The longest domain in front of the slash of a qualified name, in bytes.
const DOMAIN_BYTES_MAX: usize = 253;

/// The longest part of a qualified name behind the slash, in bytes.
const NAME_PART_BYTES_MAX: usize = 63;

const SUBDOMAIN_TEXT: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_TEXT: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
    and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED_TEXT: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
    an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const TOO_MANY_PARTS_TEXT: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and \
    end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
const LABEL_VALUE_TEXT: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
    and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
    validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Finalizers without a domain that Kubernetes has itself.
const STANDARD_FINALIZERS: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];

static SUBDOMAIN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").ok());
static NAME_PART: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$").ok());

fn is(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

fn at(field: &str) -> FieldPath {
    FieldPath::root().child("metadata").child(field)
}

/// All faults of the metadata of a new object.
#[must_use]
pub fn on_create(object: &Value, kind: &Kind) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check_names(object, kind, &mut errors);
    check_common(object, &mut errors);
    check_room_of_keys(object, kind, &mut errors);
    check_finalizers(object, &mut errors);
    errors
}

/// All faults of the metadata of a changed object. Kubernetes checks some of it twice, and so do we.
#[must_use]
pub fn on_update(object: &Value, stored: &Value, kind: &Kind) -> Vec<FieldError> {
    let mut errors = Vec::new();
    // A release that somebody made by hand may have a name that we would not have given.
    if kind.backend == KindBackend::Stored || member(object, "name") != member(stored, "name") {
        check_names(object, kind, &mut errors);
    }
    check_common(object, &mut errors);
    check_room_of_keys(object, kind, &mut errors);
    check_finalizers(object, &mut errors);
    errors.extend(on_custom_update(object, stored));
    errors
}

/// What the update of a custom resource is checked for once more.
#[must_use]
pub fn on_custom_update(object: &Value, stored: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !member(stored, "deletionTimestamp").is_empty() {
        check_no_new_finalizers(object, stored, &mut errors);
    }
    let member_of = |object: &Value, name: &str| members(object).and_then(|metadata| metadata.get(name)).cloned();
    for name in ["name", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        let wanted = member_of(object, name);
        if wanted != member_of(stored, name) {
            errors.push(FieldError::invalid(&at(name), &wanted.unwrap_or_default(), "field is immutable"));
        }
    }
    check_common(object, &mut errors);
    errors
}

/// What may be wrong with new finalizers, as warnings.
#[must_use]
pub fn finalizer_warnings(object: &Value, stored: Option<&Value>) -> Vec<String> {
    let held: BTreeSet<&str> = stored.map(finalizers).unwrap_or_default();
    let mut warnings = Vec::new();
    for finalizer in finalizers(object).difference(&held) {
        let about = |text: &str| format!("metadata.finalizers: {}: {text}", quoted(finalizer));
        warnings.extend(qualified_name_faults(finalizer).iter().map(|fault| about(fault)));
        if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(finalizer) {
            let with_path = if finalizer.contains('.') { " including a path (/)" } else { "" };
            warnings.push(about(&format!(
                "prefer a domain-qualified finalizer name{with_path} to avoid accidental conflicts with other finalizer \
                 writers"
            )));
        }
    }
    warnings
}

fn members(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata").and_then(Value::as_object)
}

fn finalizers(object: &Value) -> BTreeSet<&str> {
    let held = members(object).and_then(|metadata| metadata.get("finalizers")).and_then(Value::as_array);
    held.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn check_names(object: &Value, kind: &Kind, errors: &mut Vec<FieldError>) {
    let base = member(object, "generateName");
    if base.contains('/') || base.contains('%') {
        let detail = if base.contains('/') { "may not contain '/'" } else { "may not contain '%'" };
        errors.push(FieldError::invalid(&at("generateName"), &json!(base), detail));
    } else if !base.is_empty() {
        // As a prefix it may end in a dash. On a release there is less room, and no more of it is looked at than is used.
        let used = match &kind.backend {
            KindBackend::Release(_) => generated_base(base, kind),
            KindBackend::Stored => base.to_owned(),
        };
        let checked = used.strip_suffix('-').unwrap_or(&used);
        check_name(checked, base, member(object, "namespace"), kind, &at("generateName"), errors);
    }
    let name = member(object, "name");
    if name.is_empty() {
        errors.push(FieldError::required(&at("name"), "name or generateName is required"));
    } else {
        check_name(name, name, member(object, "namespace"), kind, &at("name"), errors);
    }
}

fn check_name(checked: &str, name: &str, namespace: &str, kind: &Kind, at: &FieldPath, errors: &mut Vec<FieldError>) {
    let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
    match &kind.backend {
        KindBackend::Release(template) => {
            let faults = template.name_faults(checked, namespace);
            errors.extend(faults.iter().map(|fault| FieldError::invalid(at, &json!(name), fault)));
        }
        KindBackend::Stored if kind.typing() == Typing::BuiltIn => {
            let faults = label_faults(checked);
            errors.extend(faults.iter().map(|fault| FieldError::invalid(at, &json!(name), fault)));
        }
        KindBackend::Stored => {
            if checked.len() > 253 {
                errors.push(FieldError::invalid(at, &json!(name), "must be no more than 253 bytes"));
            }
            if !is(&SUBDOMAIN, checked) {
                errors.push(FieldError::invalid(at, &json!(name), SUBDOMAIN_TEXT));
            }
        }
    }
}

/// What makes a text no label of DNS (`IsDNS1123Label`).
fn label_faults(text: &str) -> Vec<&'static str> {
    let mut faults = Vec::new();
    if text.len() > 63 {
        faults.push("must be no more than 63 bytes");
    }
    match (is(&SUBDOMAIN, text), text.contains('.')) {
        (true, false) => {}
        (true, true) => faults.push("must not contain dots"),
        (false, _) => faults.push(LABEL_TEXT),
    }
    faults
}

fn check_common(object: &Value, errors: &mut Vec<FieldError>) {
    let map = |member: &str| members(object).and_then(|metadata| metadata.get(member)).and_then(Value::as_object);
    for (key, value) in map("labels").into_iter().flatten() {
        check_key(key, key, &at("labels"), errors);
        let value = value.as_str().unwrap_or_default();
        if value.len() > 63 {
            errors.push(FieldError::invalid(&at("labels"), &json!(value), "must be no more than 63 bytes"));
        }
        if !value.is_empty() && !is(&NAME_PART, value) {
            errors.push(FieldError::invalid(&at("labels"), &json!(value), LABEL_VALUE_TEXT));
        }
    }
    let mut bytes = 0;
    for (key, value) in map("annotations").into_iter().flatten() {
        check_key(key, &key.to_lowercase(), &at("annotations"), errors);
        bytes += key.len() + value.as_str().map_or(0, str::len);
    }
    if bytes > ANNOTATIONS_BYTES_MAX {
        errors.push(FieldError::too_long(&at("annotations"), 256 * 1024));
    }
    check_owners(object, errors);
}

/// On a release, keys of labels and annotations have the group in front of them, and must be qualified names even so.
fn check_room_of_keys(object: &Value, kind: &Kind, errors: &mut Vec<FieldError>) {
    let KindBackend::Release(template) = &kind.backend else { return };
    let prefix = template.metadata_prefix();
    for member in ["labels", "annotations"] {
        let held = members(object).and_then(|metadata| metadata.get(member)).and_then(Value::as_object);
        for key in held.into_iter().flat_map(|held| held.keys()) {
            let (part, bytes, max) = match key.split_once('/') {
                Some((domain, _)) => ("prefix", domain.len(), DOMAIN_BYTES_MAX),
                None => ("name", key.len(), NAME_PART_BYTES_MAX),
            };
            // What is too long by itself was told.
            if bytes <= max && prefix.len() + bytes > max {
                let room = max.saturating_sub(prefix.len());
                let detail = format!("{part} part must be no more than {room} bytes, as it is kept behind {prefix:?}");
                errors.push(FieldError::invalid(&at(member), &json!(key), &detail));
            }
        }
    }
}

fn check_owners(object: &Value, errors: &mut Vec<FieldError>) {
    let held = members(object).and_then(|metadata| metadata.get("ownerReferences")).and_then(Value::as_array);
    let mut controller: Option<String> = None;
    for (index, owner) in held.into_iter().flatten().enumerate() {
        let at = at("ownerReferences").index(index);
        let text = |field: &str| owner.get(field).and_then(Value::as_str).unwrap_or_default();
        let api_version = text("apiVersion");
        if !api_version.is_empty() && (api_version.matches('/').count() > 1 || api_version.ends_with('/')) {
            let detail = "must be <group>/<version> or <version>";
            errors.push(FieldError::invalid(&at.child("apiVersion"), &json!(api_version), detail));
        }
        for field in ["apiVersion", "kind", "name", "uid"] {
            if text(field).is_empty() {
                errors.push(FieldError::required(&at.child(field), "must not be empty"));
            }
        }
        if api_version == "v1" && text("kind") == "Event" {
            errors.push(FieldError::invalid(&at, owner, "/v1, Kind=Event is disallowed from being an owner"));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let named = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                Some(first) => errors.push(FieldError::invalid(
                    &self::at("ownerReferences"),
                    &json!(held),
                    &format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and \
                         {named}"
                    ),
                )),
                None => controller = Some(named),
            }
        }
    }
}

fn check_finalizers(object: &Value, errors: &mut Vec<FieldError>) {
    let held = members(object).and_then(|metadata| metadata.get("finalizers")).and_then(Value::as_array);
    let names: Vec<&str> = held.into_iter().flatten().filter_map(Value::as_str).collect();
    for name in &names {
        check_key(name, name, &at("finalizers"), errors);
    }
    if names.contains(&"orphan") && names.contains(&"foregroundDeletion") {
        errors.push(FieldError::invalid(
            &at("finalizers"),
            &json!(names),
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
}

fn check_no_new_finalizers(object: &Value, stored: &Value, errors: &mut Vec<FieldError>) {
    let (wanted, held) = (finalizers(object), finalizers(stored));
    let added: Vec<String> = wanted.difference(&held).map(|name| quoted(name)).collect();
    if !added.is_empty() {
        let added = added.join(", ");
        errors.push(FieldError::forbidden(
            &at("finalizers"),
            &format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{added}}}"
            ),
        ));
    }
}

fn check_key(key: &str, checked: &str, at: &FieldPath, errors: &mut Vec<FieldError>) {
    errors.extend(qualified_name_faults(checked).iter().map(|fault| FieldError::invalid(at, &json!(key), fault)));
}

/// What makes a text no qualified name (`IsLabelKey` in k8s.io/apimachinery/pkg/api/validate/content/kube.go).
fn qualified_name_faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut parts = text.split('/');
    let (prefix, name) = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => (None, name),
        (Some(prefix), Some(name), None) => (Some(prefix), name),
        _ => return vec![TOO_MANY_PARTS_TEXT.to_owned()],
    };
    match prefix {
        Some("") => faults.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => {
            if prefix.len() > DOMAIN_BYTES_MAX {
                faults.push("prefix part must be no more than 253 bytes".to_owned());
            }
            if !is(&SUBDOMAIN, prefix) {
                faults.push(format!("prefix part {SUBDOMAIN_TEXT}"));
            }
        }
        None => {}
    }
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > NAME_PART_BYTES_MAX {
        faults.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is(&NAME_PART, name) {
        faults.push(QUALIFIED_TEXT.to_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm};

    use super::*;

    fn said(check: impl Fn(&Value, &mut Vec<FieldError>), metadata: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        check(&json!({"metadata": metadata}), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keys_are_qualified_names_and_annotations_ignore_their_case() {
        assert_eq!(said(check_common, &json!({"annotations": {"Example.COM/x": "1"}})), Vec::<String>::new());
        let faults = said(check_common, &json!({"annotations": {"Bad Key": "1"}}));
        assert!(
            faults[0].starts_with("metadata.annotations: Invalid value: \"Bad Key\": name part must"),
            "{faults:?}"
        );
        assert_eq!(said(check_common, &json!({"labels": {"a/b/c": "1"}})).len(), 1);
    }

    #[test]
    fn owners_need_all_four_fields_and_one_controller_at_most() {
        let owner = |name: &str| json!({"apiVersion": "v1", "kind": "K", "name": name, "uid": "u", "controller": true});
        assert_eq!(
            said(check_owners, &json!({"ownerReferences": [{"apiVersion": "v1", "kind": "K", "uid": "u"}]})),
            ["metadata.ownerReferences[0].name: Required value: must not be empty"]
        );
        let two = said(check_owners, &json!({"ownerReferences": [owner("a"), owner("b")]}));
        assert!(two[0].contains("references for K/a and K/b"), "{two:?}");
    }

    #[test]
    fn names_of_namespaces_are_labels() {
        assert_eq!(label_faults("team-a"), Vec::<&str>::new());
        assert_eq!(label_faults("a.b"), ["must not contain dots"]);
        assert_eq!(label_faults("A"), [LABEL_TEXT]);
        assert_eq!(label_faults(&"a".repeat(64)), ["must be no more than 63 bytes"]);
    }

    #[test]
    fn as_much_of_a_generate_name_is_used_as_there_is_room_for() {
        let kind = on_releases();
        let mut object = json!({"metadata": {"generateName": "g".repeat(300)}});
        crate::object::metadata::prepare_create(&mut object, &kind);
        assert_eq!(member(&object, "name").len(), 53 - "cup-".len());
        assert_eq!(on_create(&object, &kind), []);
    }

    fn on_releases() -> Kind {
        let definition = json!({
            "metadata": {"name": "cups.apps.example.com"},
            "spec": {"group": "apps.example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}}}],
                "backend": {"helmRelease": {"prefix": "cup-", "chartRef": {"kind": "OCIRepository", "name": "cup"}}}}});
        DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent).unwrap()
    }

    #[test]
    fn keys_on_a_release_must_leave_room_for_the_group() {
        let kind = on_releases();
        let check = |object: &Value, errors: &mut Vec<FieldError>| check_room_of_keys(object, &kind, errors);
        let long = "k".repeat(46);
        let fits = json!({"labels": {&long: "1", "example.com/x": "1"}, "annotations": {"a": "1"}});
        assert_eq!(said(check, &fits), Vec::<String>::new());
        let faults = said(check, &json!({"labels": {format!("{long}k"): "1"}}));
        let wanted = format!(
            "metadata.labels: Invalid value: \"{long}k\": name part must be no more than 46 bytes, as it is kept behind \
             \"apps.example.com-\""
        );
        assert_eq!(faults, [wanted]);
        let domain = format!("{}.example.com/x", "d".repeat(230));
        let faults = said(check, &json!({"annotations": {domain: "1"}}));
        assert!(faults[0].contains("prefix part must be no more than 236 bytes"), "{faults:?}");
    }

    #[test]
    fn finalizers_should_have_a_domain() {
        let object = json!({"metadata": {"finalizers": ["hold", "example.com", "example.com/x", "orphan"]}});
        let stored = json!({"metadata": {"finalizers": ["example.com"]}});
        assert_eq!(finalizer_warnings(&object, None).len(), 2);
        assert_eq!(finalizer_warnings(&object, Some(&stored)).len(), 1);
    }
}
