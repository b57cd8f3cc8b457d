//! Server-side apply as people and GitOps tools use it: conflicts, force, diff, drift, pruning, and the way there from
//! client-side apply; for objects of our own and for HelmReleases.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{Dev, Kubectl, wait};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

fn definition(group: &str, backend: &Value) -> String {
    json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": format!("cups.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
                    "size": {"type": "integer"},
                    "colour": {"type": "string"},
                    "handles": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["side"],
                        "items": {"type": "object", "required": ["side"], "properties": {
                            "side": {"type": "string"}, "length": {"type": "integer"}}}},
                }}}}},
            }],
            "backend": backend,
        },
    })
    .to_string()
}

/// One kind, and the ways to it.
struct Cups<'a> {
    group: &'static str,
    dev: &'a Dev,
    api: Api<DynamicObject>,
}

impl Cups<'_> {
    fn cup(&self, name: &str, spec: &Value) -> Value {
        json!({"apiVersion": format!("{}/v1", self.group), "kind": "Cup",
            "metadata": {"name": name, "namespace": "default"}, "spec": spec})
    }

    fn kubectl(&self, args: &[&str]) -> Kubectl {
        self.dev.kubectl(args.iter().copied())
    }

    fn apply(&self, manager: &str, name: &str, spec: &Value, args: &[&str]) -> Kubectl {
        let manager = format!("--field-manager={manager}");
        let all = [&["apply", "--server-side", &manager, "-f", "-"], args].concat();
        self.kubectl(&all).stdin(&self.cup(name, spec).to_string())
    }

    async fn get(&self, name: &str) -> Result<Value> {
        Ok(serde_json::to_value(self.api.get(name).await?)?)
    }

    /// The managers of an object with how they came to own, sorted.
    async fn managers(&self, name: &str) -> Result<Vec<String>> {
        let object = self.get(name).await?;
        let entries = object["metadata"]["managedFields"].as_array().context("there are no managed fields")?;
        let text = |entry: &Value, member: &str| entry[member].as_str().unwrap_or_default().to_owned();
        let mut managers: Vec<String> =
            entries.iter().map(|entry| format!("{} {}", text(entry, "manager"), text(entry, "operation"))).collect();
        managers.sort();
        Ok(managers)
    }

    async fn people_apply(&self) -> Result<()> {
        let said = self.apply("platform", "mine", &json!({"size": 2, "colour": "red"}), &[]).ok().await?;
        ensure!(said.contains("serverside-applied"), "kubectl says {said}");
        let before = self.get("mine").await?;
        self.apply("platform", "mine", &json!({"size": 2, "colour": "red"}), &[]).ok().await?;
        let again = self.get("mine").await?;
        let revision = |object: &Value| object["metadata"]["resourceVersion"].clone();
        ensure!(revision(&again) == revision(&before), "an apply that changes nothing wrote: {again}");

        let refused = self.apply("team", "mine", &json!({"size": 3}), &[]).fails().await?;
        ensure!(
            refused.contains("Apply failed with 1 conflict: conflict with \"platform\": .spec.size"),
            "the conflict is told as {refused}"
        );
        let difference =
            self.kubectl(&["diff", "--server-side", "--force-conflicts", "--field-manager=team", "-f", "-"]);
        let difference = difference.stdin(&self.cup("mine", &json!({"size": 3})).to_string()).run().await?.stdout;
        ensure!(
            difference.contains("-  size: 2") && difference.contains("+  size: 3"),
            "the difference is {difference}"
        );
        ensure!(self.get("mine").await?["spec"]["size"] == 2, "a diff wrote");
        self.apply("team", "mine", &json!({"size": 3}), &["--force-conflicts"]).ok().await?;
        ensure!(self.managers("mine").await? == ["platform Apply", "team Apply"], "{:?}", self.managers("mine").await?);
        // What nobody else wants goes with the manager that no longer wants it; what another wants stays.
        self.apply("platform", "mine", &json!({}), &[]).ok().await?;
        let left = self.get("mine").await?["spec"].clone();
        ensure!(left == json!({"size": 3}), "what is left is {left}");
        Ok(())
    }

    /// Apply, drift by somebody else, apply again, prune: what a GitOps tool does.
    async fn a_loop_applies(&self) -> Result<()> {
        let wanted = json!({"size": 1, "handles": [{"side": "left", "length": 4}, {"side": "right", "length": 4}]});
        let parameters = PatchParams::apply("gitops").force();
        let apply = async |spec: &Value| -> Result<Value> {
            let patch = Patch::Apply(self.cup("ours", spec));
            Ok(serde_json::to_value(self.api.patch("ours", &parameters, &patch).await?)?)
        };
        apply(&wanted).await?;
        let drift = json!({"spec": {"size": 9, "colour": "blue"}}).to_string();
        let human = ["patch", &self.resource(), "ours", "--type=merge", "--field-manager=human", "-p", &drift];
        self.kubectl(&human).ok().await?;
        ensure!(self.managers("ours").await? == ["gitops Apply", "human Update"], "{:?}", self.managers("ours").await?);
        let healed = apply(&wanted).await?["spec"].clone();
        ensure!(healed["size"] == 1 && healed["colour"] == "blue", "the drift became {healed}");
        let pruned = apply(&json!({"size": 1, "handles": [{"side": "right", "length": 5}]})).await?["spec"].clone();
        ensure!(pruned["handles"] == json!([{"side": "right", "length": 5}]), "the handles are {}", pruned["handles"]);
        Ok(())
    }

    /// kubectl goes over from client-side to server-side apply without a conflict, and prunes what it applied before.
    async fn client_side_apply_is_taken_over(&self) -> Result<()> {
        let object = self.cup("old", &json!({"size": 1, "colour": "red"}));
        self.kubectl(&["apply", "-f", "-"]).stdin(&object.to_string()).ok().await?;
        let object = self.cup("old", &json!({"size": 2}));
        self.kubectl(&["apply", "--server-side", "-f", "-"]).stdin(&object.to_string()).ok().await?;
        let spec = self.get("old").await?["spec"].clone();
        ensure!(spec == json!({"size": 2}), "the colour is still there: {spec}");
        Ok(())
    }

    fn resource(&self) -> String {
        format!("cups.{}", self.group)
    }
}

async fn cups<'a>(dev: &'a Dev, client: &Client, group: &'static str, backend: &Value) -> Result<Cups<'a>> {
    dev.kubectl(["apply", "-f", "-"]).stdin(&definition(group, backend)).ok().await?;
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", "Cup"), "cups");
    let cups = Cups { group, dev, api: Api::namespaced_with(client.clone(), "default", &resource) };
    wait::until("the kind to be served", Duration::from_secs(20), async || {
        cups.kubectl(&["get", &cups.resource()]).ok().await.map(drop)
    })
    .await?;
    Ok(cups)
}

#[tokio::test]
async fn fields_are_owned_by_those_who_apply_them() -> Result<()> {
    let dev = Dev::start(Vec::<String>::new()).await?;
    let client = dev.client().await?;
    let chart = json!({"helmRelease": {
        "chartRef": {"kind": "OCIRepository", "name": "cup", "namespace": "default"}, "prefix": "cup-"}});
    for (group, backend) in [("stored.example.com", json!({"store": {}})), ("released.example.com", chart)] {
        let cups = cups(&dev, &client, group, &backend).await?;
        cups.people_apply().await.with_context(|| format!("people and {group}"))?;
        cups.a_loop_applies().await.with_context(|| format!("a loop and {group}"))?;
        cups.client_side_apply_is_taken_over().await.with_context(|| format!("taking over {group}"))?;
    }
    Ok(())
}
