//! Kinds that are served without a definition when there is no cluster: Namespace, HelmRelease and ApplicationDefinition.

use std::sync::OnceLock;

use kindsmith_crds::Scope;
use kindsmith_schema::{
    column::{Column, Details},
    cozystack,
    field::{FieldError, FieldPath},
    form::DefinitionForm,
    jsonpath::JsonPath,
    kind::{Kind, KindBackend, KindNames, KindVersion, Origin, SelectablePath, Serving, StatusRole, StorageRole},
    structural::Schema,
    table::Columns,
};
use serde_json::{Value, json};

/// Why a built-in kind does not compile: a fault of ours, found by a test.
#[derive(Debug, thiserror::Error)]
#[error("the built-in kind {kind} does not compile: {}", .errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct BuiltinError {
    kind: &'static str,
    errors: Vec<FieldError>,
}

struct Template {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    short_names: &'static [&'static str],
    scope: Scope,
    columns: &'static [(&'static str, &'static str, &'static str)],
    /// Fields for selectors, besides name and namespace.
    selectable: &'static [&'static str],
}

const NAMESPACE: Template = Template {
    group: "",
    version: "v1",
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    scope: Scope::Cluster,
    columns: &[("Status", "string", ".status.phase"), ("Age", "date", ".metadata.creationTimestamp")],
    selectable: &["status.phase"],
};

const HELM_RELEASE: Template = Template {
    group: "helm.toolkit.fluxcd.io",
    version: "v2",
    kind: "HelmRelease",
    plural: "helmreleases",
    singular: "helmrelease",
    short_names: &["hr"],
    scope: Scope::Namespaced,
    columns: &[
        ("Age", "date", ".metadata.creationTimestamp"),
        ("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status"),
        ("Status", "string", ".status.conditions[?(@.type==\"Ready\")].message"),
    ],
    selectable: &[],
};

const APPLICATION_DEFINITION: Template = Template {
    group: kindsmith_crds::GROUP,
    version: kindsmith_crds::VERSION,
    kind: "ApplicationDefinition",
    plural: "applicationdefinitions",
    singular: "applicationdefinition",
    short_names: &["appdef"],
    scope: Scope::Cluster,
    columns: &[
        ("Kind", "string", ".spec.names.kind"),
        ("Group", "string", ".spec.group"),
        ("Accepted", "string", ".status.conditions[?(@.type==\"Accepted\")].status"),
        ("Served", "string", ".status.conditions[?(@.type==\"Served\")].status"),
        ("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status"),
        ("Age", "date", ".metadata.creationTimestamp"),
    ],
    selectable: &[],
};

const COZYSTACK_DEFINITION: Template = Template {
    group: cozystack::GROUP,
    version: cozystack::VERSION,
    kind: "ApplicationDefinition",
    plural: "applicationdefinitions",
    singular: "applicationdefinition",
    short_names: &[],
    scope: Scope::Cluster,
    columns: &[("Kind", "string", ".spec.application.kind"), ("Age", "date", ".metadata.creationTimestamp")],
    selectable: &[],
};

impl Template {
    fn compile(&self, schema: &Value) -> Result<Kind, BuiltinError> {
        let failed = |errors: Vec<FieldError>| BuiltinError { kind: self.kind, errors };
        let at = FieldPath::root();
        let schema = Schema::compile(schema, &at).map_err(failed)?;
        let columns = self
            .columns
            .iter()
            .map(|(name, kind, path)| Column::compile(name, kind, Details::default(), path))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|errors| {
                failed(errors.iter().map(|error| FieldError::internal(&at, &error.to_string())).collect())
            })?;
        Ok(Kind {
            origin: Origin {
                name: format!("built-in {}.{}", self.plural, self.group),
                uid: String::new(),
                generation: 1,
                created: String::new(),
            },
            group: self.group.to_owned(),
            scope: self.scope,
            names: KindNames {
                kind: self.kind.to_owned(),
                list_kind: format!("{}List", self.kind),
                plural: self.plural.to_owned(),
                singular: self.singular.to_owned(),
                short_names: self.short_names.iter().map(|&name| name.to_owned()).collect(),
                categories: Vec::new(),
            },
            versions: vec![KindVersion {
                name: self.version.to_owned(),
                serving: Serving::Served,
                storage: StorageRole::Storage,
                deprecation: None,
                merge_type: OnceLock::new(),
                merge_and_more_type: OnceLock::new(),
                schema,
                columns: Columns::new(columns),
                selectable_fields: selectable_fields(self.selectable).map_err(failed)?,
                status: StatusRole::Subresource,
                scale: None,
                usage: None,
            }],
            backend: KindBackend::Stored,
        })
    }
}

/// The built-in kinds, with the definitions of some forms.
///
/// # Errors
/// When one does not compile.
pub fn kinds(forms: &[DefinitionForm]) -> Result<Vec<Kind>, BuiltinError> {
    let mut kinds = vec![NAMESPACE.compile(&namespace_schema())?, HELM_RELEASE.compile(&helm_release_schema())?];
    for form in forms {
        kinds.push(match form {
            DefinitionForm::Kindsmith => {
                let crd = kindsmith_crds::custom_resource_definition().unwrap_or_default();
                let schema = crd.pointer("/spec/versions/0/schema/openAPIV3Schema").cloned().unwrap_or_default();
                APPLICATION_DEFINITION.compile(&schema)?
            }
            DefinitionForm::Cozystack => COZYSTACK_DEFINITION.compile(&cozystack_schema())?,
        });
    }
    Ok(kinds)
}

fn selectable_fields(names: &[&str]) -> Result<Vec<SelectablePath>, Vec<FieldError>> {
    let field = |name: &&str| {
        let path = JsonPath::parse(&format!(".{name}"));
        let failed = |error: &dyn std::fmt::Display| vec![FieldError::internal(&FieldPath::root(), &error.to_string())];
        Ok(SelectablePath { name: (*name).to_owned(), path: path.map_err(|error| failed(&error))? })
    };
    names.iter().map(field).collect()
}

/// The compiler of the form says what is wrong with a definition; here it is kept as it is.
fn cozystack_schema() -> Value {
    json!({
        "type": "object",
        "description": "ApplicationDefinition describes an application of Cozystack.",
        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}
    })
}

fn namespace_schema() -> Value {
    json!({
        "type": "object",
        "description": "Namespace provides a scope for names.",
        "properties": {
            "spec": {"type": "object", "properties": {
                "finalizers": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"}
            }},
            "status": {"type": "object", "properties": {
                "phase": {"type": "string"},
                "conditions": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["type"],
                    "items": {"type": "object", "required": ["type", "status"], "properties": {
                        "type": {"type": "string"},
                        "status": {"type": "string"},
                        "lastTransitionTime": {"type": "string", "nullable": true},
                        "reason": {"type": "string"},
                        "message": {"type": "string"}
                    }}
                }
            }}
        }
    })
}

/// Flux' settings are many and Flux checks them; here they are kept as they are.
fn helm_release_schema() -> Value {
    let kept = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let reference = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "required": ["kind", "name"],
        "properties": {"kind": {"type": "string"}, "name": {"type": "string"}, "namespace": {"type": "string"}}});
    json!({
        "type": "object",
        "description": "HelmRelease is the Flux object that does the work: it installs a Helm chart with values.",
        "properties": {
            "spec": {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
                "required": ["interval"],
                "properties": {
                    "chart": kept,
                    "chartRef": reference,
                    "interval": {"type": "string"},
                    "timeout": {"type": "string"},
                    "suspend": {"type": "boolean"},
                    "values": kept,
                    "valuesFrom": {"type": "array", "items": reference},
                    "install": kept,
                    "upgrade": kept
                }
            },
            "status": kept
        }
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn built_in_kinds_compile() {
        let kinds = super::kinds(&super::DefinitionForm::ALL).unwrap();
        let names: Vec<&str> = kinds.iter().map(|kind| kind.names.kind.as_str()).collect();
        assert_eq!(names, ["Namespace", "HelmRelease", "ApplicationDefinition", "ApplicationDefinition"]);
    }
}
