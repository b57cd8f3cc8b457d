//! Cozystack's ApplicationDefinition (`cozystack.io/v1alpha1`), taken as it is, as a definition of ours.
//!
//! All that is particular to Cozystack is here, as data: group and labels of its kinds, its defaults for releases, the
//! annotations that change them, reserved values, its rules of names.
//!
//! Source: github.com/cozystack/cozystack, pkg/config/config.go, pkg/cmd/server/start.go and
//! pkg/registry/apps/application/rest.go.

use std::sync::LazyLock;

use kindsmith_crds::{
    Adopt, ApplicationDefinition, ApplicationDefinitionSpec, Backend, ChartRef, HealthCheckExpr, HelmReleaseBackend,
    Names, OtherFields, PrinterColumn, Scope, StatusField, Validation, ValuesReference, Version, WaitStrategy,
    WaitStrategyName,
};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    compile::{DefinitionNames, OwnStorage, Recompiled, Rules, Target, compile_by},
    convert::release::{Marks, NamePattern, NameRules, NameSyntax, NamespaceRule},
    field::{FieldError, FieldPath},
    form::DefinitionError,
    kind::KindBackend,
    structural::Dialect,
};

/// Which objects of an application are shown.
mod references;

#[cfg(test)]
mod tests;

use references::{Selection, resources};

/// The API group of the definitions.
pub const GROUP: &str = "cozystack.io";

/// The version of the definitions.
pub const VERSION: &str = "v1alpha1";

/// The API group of the kinds.
pub const KINDS_GROUP: &str = "apps.cozystack.io";

/// The version of the kinds.
pub const KINDS_VERSION: &str = "v1alpha1";

/// How often Flux reconciles a release. Durations are written as Go prints them, as Cozystack does.
const INTERVAL: &str = "5m0s";

/// How long an installation or an upgrade may take.
const ACTION_TIMEOUT: &str = "10m0s";

/// How long Flux waits before it tries a failed action again.
const RETRY_INTERVAL: &str = "30s";

/// How many revisions Helm keeps.
const MAX_HISTORY: i64 = 5;

/// The Secret with the platform's own values, in every namespace of a tenant.
const PLATFORM_VALUES: &str = "cozystack-values";

/// What keys of values begin with that are the platform's.
const RESERVED_KEY_PREFIX: &str = "_";

/// The label by which releases are spread over shards of Flux: the platform moves it.
const SHARD_LABEL: &str = "sharding.fluxcd.io/key";

const INSTALL_TIMEOUT_ANNOTATION: &str = "release.cozystack.io/helm-install-timeout";
const UPGRADE_TIMEOUT_ANNOTATION: &str = "release.cozystack.io/helm-upgrade-timeout";
const DISABLE_WAIT_ANNOTATION: &str = "release.cozystack.io/helm-install-disable-wait";

/// The kind whose instances are namespaces themselves.
const TENANT_KIND: &str = "Tenant";
const TENANT_ROOT: &str = "tenant-root";
const TENANT_NAME_TEXT: &str = "tenant names must start with a lowercase letter and contain only lowercase letters and \
    digits; dashes are not allowed";

/// The namespace of a tenant, as its status shows it.
const TENANT_NAMESPACE: &str = "release.metadata.namespace == 'tenant-root' ? release.metadata.name : \
    release.metadata.namespace + '-' + release.metadata.name.replace('tenant-', '', 1)";

static TENANT_NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-z][a-z0-9]*$").ok());

/// What durations Flux takes.
static DURATION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$").ok());
static DURATION_PART: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)").ok());

/// What matters here of a definition.
#[derive(Clone, Debug, Deserialize)]
struct Definition {
    metadata: Value,
    spec: Spec,
}

#[derive(Clone, Debug, Deserialize)]
struct Spec {
    application: Application,
    release: Release,
    #[serde(default)]
    secrets: Selection,
    #[serde(default)]
    services: Selection,
    #[serde(default)]
    ingresses: Selection,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Application {
    kind: String,
    plural: String,
    singular: String,
    #[serde(rename = "openAPISchema")]
    open_api_schema: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Release {
    prefix: String,
    chart_ref: ChartRef,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    wait_strategy: String,
    #[serde(default)]
    health_check_exprs: Vec<HealthCheckExpr>,
}

/// Compiles a definition. Faults that leave a kind are told with it.
///
/// # Errors
/// All faults that were found, each with the path of its field in the definition.
pub(crate) fn recompile(object: &Value, target: Target) -> Result<Recompiled, DefinitionError> {
    let target = Target { own_storage: OwnStorage::Absent, ..target };
    let definition: Definition =
        serde_json::from_value(object.clone()).map_err(|error| DefinitionError::Unreadable(error.to_string()))?;
    let mut errors = Vec::new();
    let schema = schema(&definition.spec.application.open_api_schema, &mut errors);
    let settings = settings(&definition, &mut errors);
    let Some(schema) = schema else { return Err(DefinitionError::Faulty(errors)) };
    let application = &definition.spec.application;
    let mut own = ApplicationDefinition::new(
        "",
        ApplicationDefinitionSpec {
            group: KINDS_GROUP.to_owned(),
            scope: Scope::Namespaced,
            names: Names {
                kind: application.kind.clone(),
                plural: application.plural.clone(),
                singular: Some(application.singular.clone()),
                ..Names::default()
            },
            versions: vec![Version {
                name: KINDS_VERSION.to_owned(),
                served: true,
                storage: true,
                deprecated: false,
                deprecation_warning: None,
                schema: Validation { open_api_v3_schema: schema },
                additional_printer_columns: columns(),
                selectable_fields: Vec::new(),
                subresources: None,
                notes: None,
                access: Vec::new(),
            }],
            deletion_policy: None,
            backend: Backend { helm_release: Some(settings), store: None },
        },
    );
    own.metadata = serde_json::from_value(definition.metadata.clone())
        .map_err(|error| DefinitionError::Unreadable(error.to_string()))?;
    let rules = Rules { dialect: Dialect::ChartValues, names: DefinitionNames::Free };
    // What is wrong with what ours was made of is told alone: ours would repeat it.
    let told = |faults: Vec<FieldError>| -> Vec<FieldError> {
        if !errors.is_empty() {
            return errors;
        }
        faults.into_iter().map(|fault| FieldError { field: own_field(&fault.field), ..fault }).collect()
    };
    let (mut kind, faults) = match compile_by(&own, &target, &rules) {
        Ok(Recompiled { kind, faults }) => (kind, told(faults)),
        Err(faults) => return Err(DefinitionError::Faulty(told(faults))),
    };
    if let KindBackend::Release(template) = &mut kind.backend {
        template.marks = Marks {
            kind: format!("{KINDS_GROUP}/application.kind"),
            group: format!("{KINDS_GROUP}/application.group"),
            name: Some(format!("{KINDS_GROUP}/application.name")),
        };
        template.names = name_rules(&application.kind, &definition.spec.release.prefix);
        template.reserved_key_prefix = Some(RESERVED_KEY_PREFIX.to_owned());
        template.moving_labels = vec![SHARD_LABEL.to_owned()];
    }
    Ok(Recompiled { kind, faults })
}

/// The field of Cozystack's definition that a field of ours was made of.
fn own_field(field: &str) -> String {
    const FIELDS: [(&str, &str); 4] = [
        ("spec.versions[0].schema.openAPIV3Schema.properties[spec]", "spec.application.openAPISchema"),
        ("spec.versions[0].schema.openAPIV3Schema", "spec.application.openAPISchema"),
        ("spec.names", "spec.application"),
        ("spec.backend.helmRelease", "spec.release"),
    ];
    let found = FIELDS.iter().find_map(|(ours, theirs)| Some((theirs, field.strip_prefix(ours)?)));
    found.map_or_else(|| field.to_owned(), |(theirs, rest)| format!("{theirs}{rest}"))
}

/// The schema of an instance: that of the values, and a version that Cozystack's objects may name and nobody reads.
fn schema(text: &str, errors: &mut Vec<FieldError>) -> Option<Value> {
    let values = if text.trim().is_empty() {
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    } else {
        let read = serde_json::from_str(text).map_err(|error| {
            let at = FieldPath::root().child("spec").child("application").child("openAPISchema");
            errors.push(FieldError::invalid_text(&at, text, &format!("is not JSON: {error}")));
        });
        read.ok()?
    };
    Some(json!({"type": "object", "properties": {"appVersion": {"type": "string"}, "spec": values}}))
}

fn columns() -> Vec<PrinterColumn> {
    let column = |name: &str, kind: &str, path: &str, expression: Option<&str>| PrinterColumn {
        name: name.to_owned(),
        kind: kind.to_owned(),
        format: None,
        description: None,
        priority: None,
        json_path: path.to_owned(),
        expression: expression.map(str::to_owned),
    };
    let ready = "has(self.status) && has(self.status.conditions) && \
        self.status.conditions.exists(c, c.type == 'Ready') ? \
        self.status.conditions.filter(c, c.type == 'Ready')[0].status : 'Unknown'";
    let version = "has(self.status) && has(self.status.version) ? self.status.version.split('+')\
        [size(self.status.version.split('+')) - 1] : '<unknown>'";
    vec![
        column("Ready", "string", "", Some(ready)),
        column("Age", "date", ".metadata.creationTimestamp", None),
        column("Version", "string", "", Some(version)),
    ]
}

fn settings(definition: &Definition, errors: &mut Vec<FieldError>) -> HelmReleaseBackend {
    let release = &definition.spec.release;
    let annotation = |key: &str| {
        let held = definition.metadata.get("annotations").and_then(|held| held.get(key));
        held.and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    };
    let at = |key: &str| FieldPath::root().child("metadata").child("annotations").key(key);
    let mut timeout = |key: &str| {
        let text = annotation(key)?;
        let printed = go_duration(text).unwrap_or_else(|| {
            let detail = "must be a duration as Flux takes it, with the units ms, s, m and h";
            errors.push(FieldError::invalid(&at(key), &json!(text), detail));
            // Where the fault is forgiven, releases that there are keep what they have.
            text.to_owned()
        });
        Some(printed)
    };
    let install = timeout(INSTALL_TIMEOUT_ANNOTATION);
    let upgrade = timeout(UPGRADE_TIMEOUT_ANNOTATION).or_else(|| install.clone());
    let disable_wait = match annotation(DISABLE_WAIT_ANNOTATION) {
        Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Some(text) if !text.eq_ignore_ascii_case("false") => {
            let detail = "must be \"true\" or \"false\"";
            errors.push(FieldError::invalid(&at(DISABLE_WAIT_ANNOTATION), &json!(text), detail));
            None
        }
        _ => None,
    };
    let action = |timeout: Option<String>| {
        let mut action = Map::new();
        action.insert("timeout".to_owned(), json!(timeout.as_deref().unwrap_or(ACTION_TIMEOUT)));
        action.insert("strategy".to_owned(), json!({"name": "RetryOnFailure", "retryInterval": RETRY_INTERVAL}));
        action.extend(disable_wait.map(|disable| ("disableWait".to_owned(), json!(disable))));
        Value::Object(action)
    };
    let wait_strategy = match release.wait_strategy.as_str() {
        "" if release.health_check_exprs.is_empty() => None,
        // Expressions are looked at by this strategy alone.
        "" | "poller" => Some(wait_strategy(WaitStrategyName::Poller)),
        "legacy" => Some(wait_strategy(WaitStrategyName::Legacy)),
        other => {
            let at = FieldPath::root().child("spec").child("release").child("waitStrategy");
            errors.push(FieldError::not_supported(&at, &json!(other), &["legacy", "poller"]));
            None
        }
    };
    let spec = &definition.spec;
    let is_tenant = spec.application.kind == TENANT_KIND;
    HelmReleaseBackend {
        chart_ref: Some(release.chart_ref.clone()),
        prefix: release.prefix.clone(),
        labels: release.labels.clone(),
        interval: Some(INTERVAL.to_owned()),
        install: Some(action(install)),
        upgrade: Some(action(upgrade)),
        values_from: vec![ValuesReference {
            kind: "Secret".to_owned(),
            name: PLATFORM_VALUES.to_owned(),
            values_key: None,
            target_path: None,
            optional: None,
            literal: None,
            others: OtherFields::new(),
        }],
        wait_strategy,
        health_check_exprs: release.health_check_exprs.clone(),
        max_history: Some(MAX_HISTORY),
        adopt: Some(Adopt::Labels),
        status: is_tenant
            .then(|| StatusField { name: "namespace".to_owned(), expression: TENANT_NAMESPACE.to_owned() })
            .into_iter()
            .collect(),
        resources: resources([&spec.secrets, &spec.services, &spec.ingresses], &spec.application.kind),
        ..HelmReleaseBackend::default()
    }
}

fn wait_strategy(name: WaitStrategyName) -> WaitStrategy {
    WaitStrategy { name, others: OtherFields::new() }
}

fn name_rules(kind: &str, prefix: &str) -> NameRules {
    let syntax = NameSyntax::Dns1035Label;
    if kind != TENANT_KIND {
        return NameRules { syntax, ..NameRules::default() };
    }
    let pattern = TENANT_NAME.clone().map(|pattern| NamePattern { pattern, text: TENANT_NAME_TEXT.to_owned() });
    let namespace = NamespaceRule { root: TENANT_ROOT.to_owned(), prefix: prefix.to_owned(), of: "tenant".to_owned() };
    NameRules { syntax, pattern, namespace: Some(namespace) }
}

/// A duration as Go prints it; none when Flux would not take it, or it is none at all.
fn go_duration(text: &str) -> Option<String> {
    let (whole, part) = (DURATION.as_ref()?, DURATION_PART.as_ref()?);
    if !whole.is_match(text) {
        return None;
    }
    let mut milliseconds = 0_f64;
    for found in part.captures_iter(text) {
        let unit = match &found[2] {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            _ => 3_600_000.0,
        };
        milliseconds += found[1].parse::<f64>().ok()? * unit;
    }
    // Fractions are written as they came: they do not occur, and any form is a duration to Flux.
    if milliseconds <= 0.0 || milliseconds % 1_000.0 != 0.0 || milliseconds > 1e12 {
        return (milliseconds > 0.0).then(|| text.to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is bounded above")]
    let seconds = (milliseconds / 1_000.0) as i64;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    Some(match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    })
}
