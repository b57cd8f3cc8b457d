//! From an ApplicationDefinition to a kind, or to the errors that the operator and the apiserver both report.
//!
//! Rules are those of CustomResourceDefinitions where there is one:
//! k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go.

use std::{collections::HashSet, sync::LazyLock};

use kindsmith_crds::{ApplicationDefinition, Names, Version};
use regex::Regex;
use serde_json::{Value, json};

use crate::{
    column::{Column, ColumnError, Details},
    field::{FieldError, FieldPath},
    jsonpath::JsonPath,
    kind::{Kind, KindBackend, KindNames, KindVersion, Origin, SelectablePath, Serving, StatusRole, StorageRole},
    priority,
    scale::ScalePaths,
    structural::{Dialect, Schema},
    table::Columns,
};

/// What an instance becomes.
mod backend;

/// The most versions of one definition.
pub const VERSIONS_MAX: usize = 32;

/// The most selectable fields of one version, as for CustomResourceDefinitions.
pub const SELECTABLE_FIELDS_MAX: usize = 8;

/// Groups that only Kubernetes and Kindsmith itself serve, besides `*.k8s.io` and `*.kubernetes.io`.
const RESERVED_GROUPS: [&str; 2] = [kindsmith_crds::GROUP, "helm.toolkit.fluxcd.io"];

static DNS_1035_LABEL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$").ok());
static DNS_1123_SUBDOMAIN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").ok());

fn is(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

const DNS_1035_TEXT: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Whether there is a storage of our own, for kinds whose backend is `store`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnStorage {
    /// There is one.
    Available,
    /// There is none: in a cluster, the host's objects are all there is.
    #[default]
    Absent,
}

/// What the name of a definition must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefinitionNames {
    /// `<plural>.<group>`, as for CustomResourceDefinitions.
    PluralAndGroup,
    /// Anything.
    Free,
}

/// What differs between forms of definitions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// What the schema was written for.
    pub(crate) dialect: Dialect,
    /// What the name of a definition must be.
    pub(crate) names: DefinitionNames,
}

/// Compiles a definition.
///
/// # Errors
/// All faults that were found, each with the path of its field.
pub fn compile(definition: &ApplicationDefinition, own_storage: OwnStorage) -> Result<Kind, Vec<FieldError>> {
    let rules = Rules { dialect: Dialect::CustomResource, names: DefinitionNames::PluralAndGroup };
    compile_by(definition, own_storage, &rules)
}

/// Compiles a definition by the rules of its form.
pub(crate) fn compile_by(
    definition: &ApplicationDefinition,
    own_storage: OwnStorage,
    rules: &Rules,
) -> Result<Kind, Vec<FieldError>> {
    let mut errors = Vec::new();
    let spec = &definition.spec;
    let at = FieldPath::root().child("spec");
    check_group(&spec.group, &at.child("group"), &mut errors);
    let names = names(&spec.names, &at.child("names"), &mut errors);
    let name = definition.metadata.name.clone().unwrap_or_default();
    let wanted = format!("{}.{}", names.plural, spec.group);
    if rules.names == DefinitionNames::PluralAndGroup && name != wanted {
        errors.push(FieldError::invalid(
            &FieldPath::root().child("metadata").child("name"),
            &json!(name),
            "must be spec.names.plural+\".\"+spec.group",
        ));
    }
    let storage = storage_version(&spec.versions, &at.child("versions"), &mut errors);
    let mut backend = backend::compile(definition, &names, storage.as_deref(), &at.child("backend"), &mut errors);
    if backend == Some(KindBackend::Stored) && own_storage == OwnStorage::Absent {
        errors.push(FieldError::forbidden(
            &at.child("backend").child("store"),
            "there is no storage of our own in this cluster; use helmRelease",
        ));
    }
    let mut versions: Vec<KindVersion> = spec
        .versions
        .iter()
        .take(VERSIONS_MAX)
        .enumerate()
        .filter_map(|(index, version)| {
            let at = at.child("versions").index(index);
            compile_version(version, &names, &spec.group, backend.as_ref(), rules, &at, &mut errors)
        })
        .collect();
    if let Some(KindBackend::Release(template)) = &mut backend {
        let storage = versions.iter().find(|version| version.storage == StorageRole::Storage);
        let at = at.child("backend").child("helmRelease").child("status");
        backend::compile_status(template, storage, &at, &mut errors);
    }
    versions.sort_by(|left, right| priority::compare(&left.name, &right.name));
    match backend {
        Some(backend) if errors.is_empty() => Ok(Kind {
            origin: origin(definition),
            group: spec.group.clone(),
            scope: spec.scope,
            names,
            versions,
            backend,
        }),
        _ => Err(errors),
    }
}

fn origin(definition: &ApplicationDefinition) -> Origin {
    let metadata = &definition.metadata;
    Origin {
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        created: metadata.creation_timestamp.as_ref().map(|time| time.0.to_string()).unwrap_or_default(),
    }
}

fn check_group(group: &str, at: &FieldPath, errors: &mut Vec<FieldError>) {
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

fn names(names: &Names, at: &FieldPath, errors: &mut Vec<FieldError>) -> KindNames {
    let singular = names.singular.clone().unwrap_or_else(|| names.kind.to_lowercase());
    let list_kind = names.list_kind.clone().unwrap_or_else(|| format!("{}List", names.kind));
    let mut label = |at: FieldPath, name: &str| {
        if name.is_empty() {
            errors.push(FieldError::required(&at, ""));
        } else if !is(&DNS_1035_LABEL, name) {
            errors.push(FieldError::invalid(&at, &json!(name), DNS_1035_TEXT));
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

fn storage_version(versions: &[Version], at: &FieldPath, errors: &mut Vec<FieldError>) -> Option<String> {
    let mut seen = HashSet::new();
    if versions.len() > VERSIONS_MAX {
        errors.push(FieldError::too_many(at, count(versions.len()), count(VERSIONS_MAX)));
    }
    for (index, version) in versions.iter().enumerate() {
        let at = at.index(index).child("name");
        if !is(&DNS_1035_LABEL, &version.name) {
            errors.push(FieldError::invalid(&at, &json!(version.name), DNS_1035_TEXT));
        }
        if !seen.insert(&version.name) {
            errors.push(FieldError::invalid(&at, &json!(version.name), "must be unique"));
        }
    }
    if !versions.iter().any(|version| version.served) {
        errors.push(FieldError::invalid(at, &Value::Null, "must have at least one served version"));
    }
    let mut storage = versions.iter().filter(|version| version.storage);
    let first = storage.next();
    if first.is_none() || storage.next().is_some() {
        errors.push(FieldError::invalid(at, &Value::Null, "must have exactly one version marked as storage version"));
    }
    first.map(|version| version.name.clone())
}

fn compile_version(
    version: &Version,
    names: &KindNames,
    group: &str,
    backend: Option<&KindBackend>,
    rules: &Rules,
    at: &FieldPath,
    errors: &mut Vec<FieldError>,
) -> Option<KindVersion> {
    let before = errors.len();
    let computed = matches!(backend, Some(KindBackend::Release(_)));
    let mut raw = version.schema.open_api_v3_schema.clone();
    let schema_at = at.child("schema").child("openAPIV3Schema");
    if computed {
        backend::check_root_properties(&raw, rules, &schema_at, errors);
        backend::add_release_status(&mut raw, backend);
    }
    let schema = match Schema::compile_dialect(&raw, &schema_at, rules.dialect) {
        Ok(schema) => Some(schema),
        Err(found) => {
            errors.extend(found);
            None
        }
    };
    let columns = columns(version, computed, schema.as_ref(), at, errors);
    let selectable_fields = selectable_fields(version, at, errors);
    let subresources = version.subresources.clone().unwrap_or_default();
    let scale_at = at.child("subresources").child("scale");
    let scale = subresources.scale.as_ref().and_then(|scale| ScalePaths::compile(scale, &scale_at, errors));
    if version.deprecation_warning.is_some() && !version.deprecated {
        errors.push(FieldError::invalid(
            &at.child("deprecationWarning"),
            &json!(version.deprecation_warning),
            "can only be set for deprecated versions",
        ));
    }
    let status = match (computed, &subresources.status) {
        (true, _) => StatusRole::Computed,
        (false, Some(_)) => StatusRole::Subresource,
        (false, None) => StatusRole::Field,
    };
    let schema = schema.filter(|_| errors.len() == before)?;
    Some(KindVersion {
        name: version.name.clone(),
        serving: if version.served { Serving::Served } else { Serving::Hidden },
        storage: if version.storage { StorageRole::Storage } else { StorageRole::Converted },
        deprecation: version.deprecated.then(|| {
            version
                .deprecation_warning
                .clone()
                .unwrap_or_else(|| format!("{group}/{} {} is deprecated", version.name, names.kind))
        }),
        schema,
        columns: Columns::new(columns),
        selectable_fields,
        status,
        scale,
    })
}

fn columns(
    version: &Version,
    computed: bool,
    schema: Option<&Schema>,
    at: &FieldPath,
    errors: &mut Vec<FieldError>,
) -> Vec<Column> {
    let mut compiled = Vec::new();
    let mut add = |column: Result<Column, Vec<ColumnError>>, at: &FieldPath| match column {
        Ok(column) => compiled.push(column),
        Err(found) => errors.extend(found.into_iter().map(|error| column_error(error, at))),
    };
    for (index, column) in version.additional_printer_columns.iter().enumerate() {
        let at = at.child("additionalPrinterColumns").index(index);
        let details = Details {
            format: column.format.as_deref(),
            description: column.description.as_deref(),
            priority: column.priority,
        };
        match (&column.expression, schema) {
            (Some(_), _) if !column.json_path.is_empty() => {
                let detail = "exactly one of jsonPath and expression must be set".to_owned();
                let value = column.json_path.clone();
                add(Err(vec![ColumnError::Invalid { field: "jsonPath", value, detail }]), &at);
            }
            (Some(expression), Some(schema)) => {
                add(Column::computed(&column.name, &column.kind, details, expression, schema), &at);
            }
            // What is wrong with the schema is told already.
            (Some(_), None) => {}
            (None, _) => add(Column::compile(&column.name, &column.kind, details, &column.json_path), &at),
        }
    }
    if version.additional_printer_columns.is_empty() && computed {
        for (name, kind, path) in [
            ("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status"),
            ("Age", "date", ".metadata.creationTimestamp"),
            ("Version", "string", ".status.version"),
        ] {
            add(Column::compile(name, kind, Details::default(), path), at);
        }
    }
    compiled
}

fn column_error(error: ColumnError, at: &FieldPath) -> FieldError {
    match error {
        ColumnError::Required { field, detail } => FieldError::required(&at.child(field), &detail),
        ColumnError::Invalid { field, value, detail } => FieldError::invalid_text(&at.child(field), &value, &detail),
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn selectable_fields(version: &Version, at: &FieldPath, errors: &mut Vec<FieldError>) -> Vec<SelectablePath> {
    let at = at.child("selectableFields");
    if version.selectable_fields.len() > SELECTABLE_FIELDS_MAX {
        errors.push(FieldError::too_many(&at, count(version.selectable_fields.len()), count(SELECTABLE_FIELDS_MAX)));
    }
    let mut compiled = Vec::new();
    for (index, field) in version.selectable_fields.iter().take(SELECTABLE_FIELDS_MAX).enumerate() {
        let at = at.index(index).child("jsonPath");
        let path = &field.json_path;
        let simple = path.starts_with('.') && !path.contains(['[', '*', '{', '?']) && !path.starts_with(".metadata");
        match JsonPath::parse(path) {
            Ok(parsed) if simple => {
                compiled.push(SelectablePath { name: path.trim_start_matches('.').to_owned(), path: parsed });
            }
            Ok(_) => {
                errors.push(FieldError::invalid(&at, &json!(path), "must be a simple field path outside of metadata"))
            }
            Err(error) => errors.push(FieldError::invalid(&at, &json!(path), &format!("is an invalid path: {error}"))),
        }
    }
    compiled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Value {
        json!({
            "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
            "metadata": {"name": "cups.apps.example.com"},
            "spec": {
                "group": "apps.example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                    "type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}],
                "backend": {"helmRelease": {
                    "chartRef": {"kind": "OCIRepository", "name": "cup", "namespace": "charts"}, "prefix": "cup-"}}
            }
        })
    }

    fn judge(change: impl Fn(&mut Value)) -> Result<Kind, Vec<String>> {
        let mut definition = definition();
        change(&mut definition);
        let definition: ApplicationDefinition = serde_json::from_value(definition).unwrap();
        compile(&definition, OwnStorage::Absent).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn refused(change: impl Fn(&mut Value), wanted: &str) {
        let errors = judge(change).unwrap_err();
        assert!(errors.iter().any(|error| error.starts_with(wanted)), "{errors:?}");
    }

    #[test]
    fn a_sound_definition_is_filled_in() {
        let kind = judge(|_| {}).unwrap();
        assert_eq!((kind.names.singular.as_str(), kind.names.list_kind.as_str()), ("cup", "CupList"));
        let version = kind.storage_version().unwrap();
        assert_eq!(version.status, StatusRole::Computed);
        let headings: Vec<Value> = version.columns.definitions().iter().map(|column| column["name"].clone()).collect();
        assert_eq!(headings, ["Name", "Ready", "Age", "Version"]);
    }

    #[test]
    fn groups_of_the_cluster_are_refused() {
        for group in ["apps", "x.k8s.io", "kindsmith.dev", "helm.toolkit.fluxcd.io"] {
            refused(|definition| definition["spec"]["group"] = json!(group), "spec.group: Invalid value");
        }
    }

    #[test]
    fn faults_of_names_and_versions_are_told_with_their_fields() {
        refused(
            |definition| definition["metadata"]["name"] = json!("x"),
            "metadata.name: Invalid value: \"x\": must be",
        );
        refused(|definition| definition["spec"]["names"]["plural"] = json!("Cups"), "spec.names.plural: Invalid value");
        refused(
            |definition| definition["spec"]["versions"][0]["storage"] = json!(false),
            "spec.versions: Invalid value",
        );
        refused(
            |definition| definition["spec"]["versions"][0]["served"] = json!(false),
            "spec.versions: Invalid value",
        );
    }

    #[test]
    fn faults_of_the_backend_are_told() {
        refused(|definition| definition["spec"]["backend"]["store"] = json!({}), "spec.backend: Forbidden");
        refused(|definition| definition["spec"]["backend"] = json!({}), "spec.backend: Required value");
        refused(|definition| definition["spec"]["backend"] = json!({"store": {}}), "spec.backend.store: Forbidden");
        refused(|definition| definition["spec"]["scope"] = json!("Cluster"), "spec.backend.helmRelease: Forbidden");
        let long = "p".repeat(60);
        refused(
            |definition| definition["spec"]["backend"]["helmRelease"]["prefix"] = json!(long),
            "spec.backend.helmRelease.prefix: Invalid value",
        );
    }

    #[test]
    fn a_cell_may_be_computed() {
        let columns = |column: Value| {
            move |definition: &mut Value| {
                definition["spec"]["versions"][0]["additionalPrinterColumns"] = json!([column]);
            }
        };
        let large = json!({"name": "Large", "type": "string", "expression": "self.spec.size > 5 ? 'yes' : 'no'"});
        let kind = judge(columns(large.clone())).unwrap();
        let columns_of = &kind.storage_version().unwrap().columns;
        let row = |size: Value| {
            let object = json!({"metadata": {"name": "a"}, "spec": {"size": size}});
            let (include, version) = (crate::table::IncludeObject::None, crate::table::TableVersion::V1);
            columns_of.row(&object, include, version, jiff::Timestamp::UNIX_EPOCH)["cells"][1].clone()
        };
        assert_eq!(row(json!(7)), "yes");
        assert_eq!(row(json!(3)), "no");
        assert_eq!(row(json!(null)), Value::Null);
        let at = "spec.versions[0].additionalPrinterColumns[0]";
        let mut both = large.clone();
        both["jsonPath"] = json!(".spec.size");
        refused(columns(both), &format!("{at}.jsonPath: Invalid value"));
        let mut wrong = large;
        wrong["expression"] = json!("self.spec.colour");
        refused(columns(wrong), &format!("{at}.expression: Invalid value: \"self.spec.colour\": compilation failed"));
    }

    #[test]
    fn what_cannot_be_enforced_or_kept_is_refused() {
        let at = "spec.versions[0].schema.openAPIV3Schema";
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
        refused(
            |definition| {
                definition.pointer_mut(spec).unwrap()["x-kubernetes-validations"] = json!([{"rule": " "}]);
            },
            &format!("{at}.properties[spec].x-kubernetes-validations[0].rule: Required value: rule is not specified"),
        );
        refused(
            |definition| {
                let schema = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties").unwrap();
                schema["data"] = json!({"type": "string"});
            },
            &format!("{at}.properties[data]: Forbidden"),
        );
        refused(
            |definition| definition.pointer_mut(spec).unwrap()["type"] = json!("objekt"),
            &format!("{at}.properties[spec].type"),
        );
    }

    #[test]
    fn the_older_definition_keeps_a_name() {
        let named = |name: &str, plural: &str, created: &str| {
            let mut kind = judge(|_| {}).unwrap();
            plural.clone_into(&mut kind.names.plural);
            kind.names.singular = format!("{plural}-one");
            name.clone_into(&mut kind.origin.name);
            created.clone_into(&mut kind.origin.created);
            kind
        };
        let (newer, older) = (named("newer", "cups", "2026-02-01"), named("older", "mugs", "2026-01-01"));
        let found = crate::names::conflicts(&[&newer, &older]);
        assert_eq!(found[1], []);
        let texts: Vec<String> = found[0].iter().map(ToString::to_string).collect();
        assert_eq!(
            texts[0],
            "spec.names.kind: \"Cup\" is already in use by ApplicationDefinition \"older\", which is older"
        );
    }
}
