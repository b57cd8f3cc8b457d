//! OpenAPI of large definitions, as kube-apiserver and kubectl read it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{ControlPlane, Kindsmith, wait};
use serde_json::{Value, json};

use crate::cozystack;

/// How long the JSON of one definition is, in bytes: near to what etcd takes of an object.
const DEFINITION_BYTES: usize = 1_000_000;

/// How long kube-apiserver may take to have merged OpenAPI v2.
const MERGED_DEADLINE: Duration = Duration::from_secs(75);

const KINDS: [(&str, &str); 3] = [("oaks", "Oak"), ("elms", "Elm"), ("firs", "Fir")];

/// A schema such as generators write: fields by the thousand, of several depths, with texts of any letters.
fn schema(seed: usize) -> Value {
    let mut spec = serde_json::Map::new();
    let mut bytes = 0;
    for at in 0_usize.. {
        if bytes > DEFINITION_BYTES {
            break;
        }
        let mixed = (at * 31 + seed * 7 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let text = format!("Field {at} → {mixed:x} \"quoted\" \\ ä {}", "of what it is. ".repeat(mixed >> 60));
        let field = match mixed % 5 {
            0 => json!({"type": "string", "description": text, "pattern": "^[a-z\\d]*$", "default": "a"}),
            1 => json!({"type": "integer", "description": text, "minimum": 0, "default": mixed % 100}),
            2 => json!({"type": "array", "description": text, "items": {"type": "object",
                "properties": {"name": {"type": "string"}, "port": {"x-kubernetes-int-or-string": true}}}}),
            3 => json!({"type": "object", "description": text, "additionalProperties": {"type": "string"}}),
            _ => json!({"type": "object", "description": text, "properties": {"deeper": {"type": "object",
                "properties": {format!("key{at}"): {"type": "boolean", "description": text}}}}}),
        };
        bytes += field.to_string().len() + 12;
        spec.insert(format!("field{at}"), field);
    }
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": spec}}})
}

fn definition(at: usize) -> Value {
    let (plural, kind) = KINDS[at];
    let chart = json!({"kind": "OCIRepository", "name": plural, "namespace": "charts"});
    json!({"apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": format!("{plural}.large.example.com")},
        "spec": {"group": "large.example.com", "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema(at)}}],
            "backend": {"helmRelease": {"chartRef": chart, "prefix": format!("{plural}-")}}}})
}

/// The kinds that the schemas of a document are of, with their groups.
fn kinds(schemas: &Value) -> Vec<String> {
    let of = |schema: &Value| schema["x-kubernetes-group-version-kind"].as_array().cloned().unwrap_or_default();
    let found = schemas.as_object().into_iter().flat_map(|schemas| schemas.values()).flat_map(of);
    found.map(|it| format!("{}.{}", it["kind"], it["group"]).replace('"', "")).collect()
}

#[tokio::test]
async fn kubectl_reads_what_large_definitions_publish() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    let mut wanted: Vec<String> = KINDS.iter().map(|(_, kind)| format!("{kind}.large.example.com")).collect();
    let mut documents = vec!["large.example.com/v1"];
    let mut flags = vec![];
    let cozystack = cozystack::definitions()?;
    if cozystack.is_some() {
        control_plane.apply(cozystack::CRD).await?;
        flags.extend(["--definitions", "kindsmith,cozystack"]);
        documents.push("apps.cozystack.io/v1alpha1");
    }
    let kindsmith = Kindsmith::start_with(&control_plane, &flags).await?;
    if let Some((folder, definitions)) = &cozystack {
        call(&["apply", "--server-side", "-f", &folder.to_string_lossy()]).ok().await?;
        let kind = |it: &Value| format!("{}.apps.cozystack.io", it["spec"]["application"]["kind"]).replace('"', "");
        wanted.extend(definitions.iter().map(kind));
    }
    for at in 0..KINDS.len() {
        let definition = definition(at).to_string();
        ensure!(definition.len() > DEFINITION_BYTES, "it has {} bytes", definition.len());
        call(&["apply", "--server-side", "-f", "-"]).stdin(&definition).ok().await?;
    }
    for (plural, _) in KINDS {
        let name = format!("applicationdefinitions.kindsmith.dev/{plural}.large.example.com");
        call(&["wait", "--for=condition=Discoverable", "--timeout=60s", &name]).ok().await?;
    }
    for document in documents {
        let text = call(&["get", "--raw", &format!("/openapi/v3/apis/{document}")]).ok().await?;
        let document: Value = serde_json::from_str(&text).with_context(|| format!("{document} is broken"))?;
        let found = kinds(&document["components"]["schemas"]);
        let group = &found.first().context("no kind")?.split_once('.').context("no group")?.1.to_owned();
        let missing = wanted.iter().find(|it| it.ends_with(group.as_str()) && !found.contains(it));
        ensure!(missing.is_none(), "{missing:?} is not among {found:?}");
    }
    let merged = wait::until("OpenAPI v2", MERGED_DEADLINE, || async {
        let text = call(&["get", "--raw", "/openapi/v2"]).ok().await?;
        let found = kinds(&serde_json::from_str::<Value>(&text).context("OpenAPI v2 is broken")?["definitions"]);
        let missing = wanted.iter().find(|it| !found.contains(it));
        ensure!(missing.is_none(), "{missing:?} is missing");
        Ok(text.len())
    })
    .await?;
    println!("{} kinds are in OpenAPI v3, and in v2 of {merged} bytes", wanted.len());
    for (plural, kind) in KINDS {
        let explained = call(&["explain", &format!("{plural}.spec.field0")]).ok().await?;
        ensure!(explained.contains("KIND:") && explained.contains("Field 0 → "), "{explained}");
        let explained = call(&["explain", &format!("{plural}.spec"), "--output=plaintext-openapiv2"]).ok().await?;
        ensure!(explained.contains(kind) && explained.contains("field0"), "{explained}");
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "large.example.com/v1",
            "kind": kind, "metadata": {"name": "a", "namespace": "default"}, "spec": {}}]});
        call(&["create", "--dry-run=server", "-f", "-"]).stdin(&list.to_string()).ok().await?;
    }
    drop(kindsmith);
    Ok(())
}
