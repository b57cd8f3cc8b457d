//! Whether Flux takes the settings of a definition: what is refused when the definition is applied does not fail with each
//! instance that is made.
//!
//! Types, choices and durations are looked at. Fields that are not known here are left to Flux, which may be newer.
//!
//! Source: the CustomResourceDefinition of `helm.toolkit.fluxcd.io/v2` HelmReleases.

use std::sync::LazyLock;

use kindsmith_crds::HelmReleaseBackend;
use serde_json::{Map, Value, json};

use crate::{
    field::{FieldError, FieldPath},
    structural::Schema,
};

/// What a duration of Flux looks like.
const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// The field of a fault that is of none.
const NO_FIELD: &str = "<nil>";

static SETTINGS: LazyLock<Option<Schema>> = LazyLock::new(|| Schema::compile(&schema(), &FieldPath::root()).ok());

/// Adds what is wrong with the settings at `at`.
pub(super) fn check(settings: &HelmReleaseBackend, at: &FieldPath, errors: &mut Vec<FieldError>) {
    let (Some(schema), Ok(mut settings)) = (SETTINGS.as_ref(), serde_json::to_value(settings)) else { return };
    // Nulls are dropped, as kube-apiserver drops them from a release.
    schema.default(&mut settings);
    // What is said of no field is that rules were not looked at.
    let faults = schema.validate(&settings).into_iter().filter(|fault| fault.field != NO_FIELD);
    errors.extend(faults.map(|fault| FieldError { field: format!("{at}.{}", fault.field), ..fault }));
}

/// An object with members of these types, and others.
fn object(members: &[(&str, Value)]) -> Value {
    let members: Map<String, Value> =
        members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": members})
}

fn list(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

fn one_of(choices: &[&str]) -> Value {
    json!({"type": "string", "enum": choices})
}

fn with_required(mut object: Value, required: &str) -> Value {
    object["required"] = json!([required]);
    object
}

fn schema() -> Value {
    let (flag, text, number) = (json!({"type": "boolean"}), json!({"type": "string"}), json!({"type": "integer"}));
    let duration = json!({"type": "string", "pattern": DURATION});
    let crds = one_of(&["Skip", "Create", "CreateReplace"]);
    let apply = one_of(&["enabled", "disabled", "auto"]);
    let mut strategy = with_required(
        object(&[("name", one_of(&["RemediateOnFailure", "RetryOnFailure"])), ("retryInterval", duration.clone())]),
        "name",
    );
    strategy["x-kubernetes-validations"] = json!([{
        "rule": "!has(self.retryInterval) || self.name == 'RetryOnFailure'",
        "message": "retryInterval can only be set when name is RetryOnFailure"}]);
    let remediation =
        [("retries", number.clone()), ("ignoreTestFailures", flag.clone()), ("remediateLastFailure", flag.clone())];
    let after_upgrade = [remediation.as_slice(), &[("strategy", one_of(&["rollback", "uninstall"]))]].concat();
    let action = |members: &[(&'static str, Value)], flags: &[&'static str]| {
        let mut all = vec![("timeout", duration.clone())];
        all.extend(["disableHooks", "disableWait"].iter().chain(flags).map(|&name| (name, flag.clone())));
        all.extend_from_slice(members);
        object(&all)
    };
    let of_charts =
        ["disableOpenAPIValidation", "disableSchemaValidation", "disableTakeOwnership", "disableWaitForJobs"];
    let target = object(
        &["annotationSelector", "group", "kind", "labelSelector", "name", "namespace", "version"]
            .map(|name| (name, text.clone())),
    );
    let patch = with_required(object(&[("patch", text.clone()), ("target", target.clone())]), "patch");
    let image = ["name", "newName", "newTag", "digest"].map(|name| (name, text.clone()));
    let kustomize = object(&[("patches", list(&patch)), ("images", list(&with_required(object(&image), "name")))]);
    let ignored = with_required(object(&[("paths", list(&text)), ("target", target)]), "paths");
    object(&[
        ("interval", duration.clone()),
        ("timeout", duration.clone()),
        ("chart", object(&[("spec", object(&[("interval", duration.clone())]))])),
        (
            "install",
            action(
                &[
                    ("crds", crds.clone()),
                    ("remediation", object(&remediation)),
                    ("strategy", strategy.clone()),
                    ("serverSideApply", flag.clone()),
                ],
                &[&of_charts[..], &["createNamespace", "replace", "skipCRDs"]].concat(),
            ),
        ),
        (
            "upgrade",
            action(
                &[
                    ("crds", crds),
                    ("remediation", object(&after_upgrade)),
                    ("strategy", strategy),
                    ("serverSideApply", apply.clone()),
                    ("chartNameChangeStrategy", one_of(&["InPlaceUpdate", "Reinstall"])),
                ],
                &[&of_charts[..], &["cleanupOnFail", "force", "preserveValues"]].concat(),
            ),
        ),
        (
            "rollback",
            action(&[("serverSideApply", apply)], &["cleanupOnFail", "disableWaitForJobs", "force", "recreate"]),
        ),
        (
            "uninstall",
            action(&[("deletionPropagation", one_of(&["background", "foreground", "orphan"]))], &["keepHistory"]),
        ),
        (
            "test",
            object(&[
                ("enable", flag.clone()),
                ("ignoreFailures", flag.clone()),
                ("timeout", duration),
                ("filters", list(&with_required(object(&[("name", text.clone()), ("exclude", flag)]), "name"))),
            ]),
        ),
        ("driftDetection", object(&[("mode", one_of(&["enabled", "warn", "disabled"])), ("ignore", list(&ignored))])),
        ("postRenderers", list(&object(&[("kustomize", kustomize)]))),
        ("valuesFrom", list(&object(&[("kind", one_of(&["ConfigMap", "Secret"]))]))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(settings: Value) -> Vec<String> {
        let settings: HelmReleaseBackend = serde_json::from_value(settings).unwrap();
        let mut errors = Vec::new();
        check(&settings, &FieldPath::root().child("helmRelease"), &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_flux_takes_is_accepted_and_so_is_what_only_a_newer_one_knows() {
        let action = json!({"timeout": "1h30m", "replace": null, "disableWait": true, "crds": "Skip", "later": {"a": 1},
            "strategy": {"name": "RetryOnFailure", "retryInterval": "30s"}});
        let sound = json!({"prefix": "a-", "interval": "5m0s", "timeout": "90s", "install": action, "upgrade": action,
            "rollback": {"force": true, "serverSideApply": "auto"}, "uninstall": {"deletionPropagation": "orphan"},
            "test": {"enable": true, "filters": [{"name": "smoke"}]},
            "driftDetection": {"mode": "warn", "ignore": [{"paths": ["/spec/replicas"], "target": {"kind": "Deployment"}}]},
            "postRenderers": [{"kustomize": {"patches": [{"patch": "[]"}], "images": [{"name": "a", "newTag": "1"}]}}],
            "valuesFrom": [{"kind": "Secret", "name": "s"}]});
        assert_eq!(faults(sound), Vec::<String>::new());
    }

    #[test]
    fn what_flux_would_refuse_with_each_instance_is_refused_at_once() {
        for (settings, wanted) in [
            (json!({"interval": "5 minutes"}), "helmRelease.interval: Invalid value: \"5 minutes\""),
            (json!({"install": {"timeout": "soon"}}), "helmRelease.install.timeout: Invalid value: \"soon\""),
            (
                json!({"upgrade": {"remediation": {"retries": "3"}}}),
                "helmRelease.upgrade.remediation.retries: Invalid value",
            ),
            (json!({"upgrade": {"strategy": {}}}), "helmRelease.upgrade.strategy.name: Required value"),
            (
                json!({"install": {"strategy": {"name": "RemediateOnFailure", "retryInterval": "1s"}}}),
                "retryInterval can only be set when name is RetryOnFailure",
            ),
            (json!({"driftDetection": {"mode": "on"}}), "helmRelease.driftDetection.mode: Unsupported value: \"on\""),
            (
                json!({"valuesFrom": [{"kind": "Pod", "name": "a"}]}),
                "helmRelease.valuesFrom[0].kind: Unsupported value",
            ),
        ] {
            let faults = faults(settings);
            assert!(faults.len() == 1 && faults[0].contains(wanted), "{faults:?}");
        }
    }
}
