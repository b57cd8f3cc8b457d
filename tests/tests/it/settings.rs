//! Settings of releases: kube-apiserver refuses a release exactly when its definition is refused.

use anyhow::{Context as _, Result, ensure};
use kindsmith_schema::{
    compile::{Recompiled, Target},
    form::DefinitionForm,
    kind::KindBackend,
    release_schema::{ReleaseSchema, built_in_spec},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::releases::{REDISES, RELEASES, ask, done, with_redises};

const CRD: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/helmreleases.helm.toolkit.fluxcd.io";
const OPEN_API: &str = "/openapi/v3/apis/helm.toolkit.fluxcd.io/v2";

#[derive(Deserialize)]
struct Case {
    settings: Map<String, Value>,
}

#[tokio::test]
async fn a_definition_is_refused_for_what_the_cluster_refuses() -> Result<()> {
    let (_control_plane, _kindsmith, client) = with_redises().await?;
    let mut crd = done(&client, "GET", CRD, None).await?;
    let schemas = [
        ReleaseSchema::built_in(),
        ReleaseSchema::of_custom_resource_definition(&crd)?,
        ReleaseSchema::of_open_api(&done(&client, "GET", OPEN_API, None).await?)?,
    ];
    let spec = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec").context("no schema")?;
    without_descriptions(spec);
    ensure!(
        *spec == built_in_spec(),
        "schema/src/release_schema/built_in.json is not of the Flux that the tests install: its spec should be {spec}"
    );
    let tenant = json!({"metadata": {"name": "tenant-a"}});
    done(&client, "POST", "/api/v1/namespaces", Some(&tenant)).await?;
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../cases/release-settings.json"))?;
    for Case { settings } in cases {
        let definition = definition(settings);
        let mut refused = Vec::new();
        let mut release = Value::Null;
        for releases in schemas.clone() {
            let target = Target { releases, ..Target::default() };
            let Recompiled { kind, faults } = DefinitionForm::Kindsmith.recompile(&definition, target)?;
            refused.push(!faults.is_empty());
            let KindBackend::Release(template) = kind.backend else { continue };
            release = template.create(&json!({"metadata": {"name": "a", "namespace": "tenant-a"}}));
        }
        let path = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/tenant-a/helmreleases?dryRun=All&fieldValidation=Strict";
        let (code, answer) = ask(&client, "POST", path, Some(&release)).await?;
        let wanted = code >= 400;
        ensure!(
            refused.iter().all(|refused| *refused == wanted),
            "{refused:?}, and kube-apiserver answers {code}: {answer} to {}",
            definition["spec"]["backend"]
        );
    }
    a_release_in_the_way_is_named(&client).await
}

async fn a_release_in_the_way_is_named(client: &kube::Client) -> Result<()> {
    let chart = json!({"kind": "OCIRepository", "name": "other"});
    for (labels, told) in [
        (json!({}), "which is no Redis"),
        (
            json!({"kindsmith.dev/kind": "Queue", "kindsmith.dev/group": "apps.example.com"}),
            "which is no Redis but a Queue.apps.example.com",
        ),
    ] {
        let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "redis-foreign", "labels": labels}, "spec": {"interval": "5m", "chartRef": chart}});
        done(client, "POST", RELEASES, Some(&release)).await?;
        let redis =
            json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": "foreign"}});
        let (code, status) = ask(client, "POST", REDISES, Some(&redis)).await?;
        ensure!(code == 409 && status["reason"] == "AlreadyExists", "{code}: {status}");
        ensure!(
            status["details"] == json!({"name": "foreign", "group": "apps.example.com", "kind": "redises"}),
            "{status}"
        );
        let wanted = format!(
            "redises.apps.example.com \"foreign\" already exists: the name is taken by \
             helmreleases.helm.toolkit.fluxcd.io \"redis-foreign\", {told}"
        );
        ensure!(status["message"] == wanted, "{status}");
        done(client, "DELETE", &format!("{RELEASES}/redis-foreign"), None).await?;
    }
    Ok(())
}

fn definition(settings: Map<String, Value>) -> Value {
    let mut backend = json!({"chartRef": {"kind": "OCIRepository", "name": "cup"}, "prefix": "cup-"});
    if let Some(held) = backend.as_object_mut() {
        held.extend(settings);
    }
    json!({
        "metadata": {"name": "cups.apps.example.com"},
        "spec": {"group": "apps.example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
            "backend": {"helmRelease": long(backend)}}
    })
}

/// A text such as `n64`, or one that begins with it, has so many letters there.
fn long(value: Value) -> Value {
    match value {
        Value::String(text) => json!(lengthened(&text)),
        Value::Array(items) => items.into_iter().map(long).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (lengthened(&key), long(value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

fn lengthened(text: &str) -> String {
    let digits: String = text.strip_prefix('n').unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
    match digits.parse() {
        Ok(length) => format!("{}{}", "n".repeat(length), &text[1 + digits.len()..]),
        Err(_) => text.to_owned(),
    }
}

/// Drops what is said of fields, and no field that is called so.
fn without_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.remove("description");
            for (keyword, inner) in members {
                match inner {
                    Value::Object(properties) if keyword == "properties" => {
                        properties.values_mut().for_each(without_descriptions);
                    }
                    inner => without_descriptions(inner),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_descriptions),
        _ => {}
    }
}
