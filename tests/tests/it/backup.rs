//! A backup is restored into another cluster, as docs/backup.md says: with kubectl, object by object.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{ControlPlane, Kindsmith, Kubectl, NAMESPACE, wait};
use kube::Client;
use serde_json::{Value, json};

use crate::releases::{RELEASES, done, served};

const SHIPS: &str = "/apis/backup.example.com/v1/namespaces/default/ships";
const SECRETS: [&str; 2] = ["kindsmith-ca", "kindsmith-serving-cert"];

/// What docs/backup.md takes out of objects that are restored: what another cluster gives anew or does not know.
const TAKEN_OUT: [&str; 6] =
    ["uid", "resourceVersion", "creationTimestamp", "generation", "ownerReferences", "managedFields"];

fn definition(plural: &str, kind: &str) -> Value {
    let spec = json!({"type": "object", "properties": {"size": {"type": "string"}, "crew": {"type": "integer"}}});
    json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": format!("{plural}.backup.example.com")},
        "spec": {"group": "backup.example.com", "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}],
            "backend": {"helmRelease": {
                "chartRef": {"kind": "OCIRepository", "name": plural, "namespace": "charts"}, "prefix": format!("{plural}-")}}},
    })
}

fn instance(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "backup.example.com/v1", "kind": kind, "metadata": {"name": name, "namespace": "default"},
        "spec": spec})
}

/// A cluster with kubectl.
struct Cluster {
    control_plane: ControlPlane,
    client: Client,
}

impl Cluster {
    async fn start() -> Result<Self> {
        // The garbage collector deletes what belongs to objects that are not there.
        let control_plane = ControlPlane::builder().controller_manager().start().await?;
        control_plane.install_flux_crds().await?;
        let client = control_plane.client().await?;
        Ok(Self { control_plane, client })
    }

    fn call(&self, args: &[&str]) -> Kubectl {
        self.control_plane.kubectl(args.iter().copied())
    }

    /// Saves what a backup has of something.
    async fn saved(&self, args: &[&str]) -> Result<Value> {
        let list = self.call(&[&["get", "-o", "json"], args].concat()).ok().await?;
        Ok(serde_json::from_str(&list)?)
    }

    async fn restore(&self, mut list: Value) -> Result<()> {
        for item in list["items"].as_array_mut().context("no items")? {
            if let Some(item) = item.as_object_mut() {
                item.remove("status");
            }
            let metadata = item["metadata"].as_object_mut().context("no metadata")?;
            metadata.retain(|member, _| !TAKEN_OUT.contains(&member.as_str()));
        }
        self.call(&["create", "-f", "-"]).stdin(&list.to_string()).ok().await.map(drop)
    }

    async fn ship(&self, name: &str) -> Result<Value> {
        done(&self.client, "GET", &format!("{SHIPS}/{name}"), None).await
    }

    async fn condition(&self, definition: &str, kind: &str) -> Result<String> {
        let format = format!("jsonpath={{.status.conditions[?(@.type==\"{kind}\")].status}}");
        self.call(&["get", "appdef", definition, "-o", &format]).ok().await
    }

    async fn waits_for(&self, definition: &str, kind: &str, status: &str) -> Result<()> {
        wait::until(&format!("{kind}={status} of {definition}"), Duration::from_secs(60), || async {
            let found = self.condition(definition, kind).await?;
            ensure!(found == status, "it is {found:?}");
            Ok(())
        })
        .await
    }
}

/// Who owns which field.
fn owners(object: &Value) -> Vec<(String, Value)> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let mut owners: Vec<(String, Value)> =
        entries.iter().map(|it| (it["manager"].to_string(), it["fieldsV1"].clone())).collect();
    owners.sort_by(|left, right| left.0.cmp(&right.0));
    owners
}

#[tokio::test]
async fn another_cluster_has_all_that_was_saved() -> Result<()> {
    let from = Cluster::start().await?;

    // What there is: owned fields, labels, a suspended release, what an operator wrote, one that belongs to something, and a
    // definition whose present generation is refused.
    let kindsmith = Kindsmith::start(&from.control_plane).await?;
    for (plural, kind) in [("ships", "Ship"), ("rafts", "Raft")] {
        from.call(&["apply", "-f", "-"]).stdin(&definition(plural, kind).to_string()).ok().await?;
    }
    from.call(&["wait", "--for=condition=Ready", "--timeout=60s", "appdef", "--all"]).ok().await?;
    served(&from.client, SHIPS).await?;
    let manager = |name: &str| format!("--field-manager={name}");
    let apply = ["apply", "--server-side", "-f", "-"];
    let one = instance("Ship", "one", &json!({"size": "large"}));
    from.call(&[&apply[..], &[&manager("gitops")]].concat()).stdin(&one.to_string()).ok().await?;
    let mut crew = instance("Ship", "one", &json!({"crew": 3}));
    crew["metadata"]["labels"] = json!({"tier": "sea"});
    from.call(&[&apply[..], &[&manager("people")]].concat()).stdin(&crew.to_string()).ok().await?;
    let status = json!({"status": {"anchored": true}});
    done(&from.client, "PATCH", &format!("{SHIPS}/one/status"), Some(&status)).await?;
    let suspend = r#"{"metadata": {"labels": {"platform": "yes"}}, "spec": {"suspend": true}}"#;
    from.call(&["patch", "helmrelease", "ships-one", "--type=merge", "-p", suspend]).ok().await?;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fleet", "namespace": "default"}});
    let map = done(&from.client, "POST", "/api/v1/namespaces/default/configmaps", Some(&map)).await?;
    let mut owned = instance("Ship", "owned", &json!({}));
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "fleet", "uid": map["metadata"]["uid"]}]);
    done(&from.client, "POST", SHIPS, Some(&owned)).await?;
    let raft = instance("Raft", "two", &json!({"crew": 5}));
    from.call(&["create", "-f", "-"]).stdin(&raft.to_string()).ok().await?;
    let mut narrower = definition("rafts", "Raft");
    narrower["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["crew"]["maximum"] =
        json!(3);
    from.call(&["apply", "-f", "-"]).stdin(&narrower.to_string()).ok().await?;
    from.waits_for("rafts.backup.example.com", "Accepted", "False").await?;

    let before = from.ship("one").await?;
    let definitions = from.saved(&["applicationdefinitions"]).await?;
    let releases = from.saved(&["helmreleases", "--all-namespaces"]).await?;
    let secrets = from.saved(&[&["secrets", "--namespace", NAMESPACE][..], &SECRETS[..]].concat()).await?;
    let records = from.saved(&["controllerrevisions", "--namespace", NAMESPACE]).await?;
    let bundle = "jsonpath={.spec.caBundle}";
    let api_service = ["get", "apiservice", "v1.backup.example.com", "-o", bundle];
    let trusted = from.call(&api_service).ok().await?;
    drop(kindsmith);
    drop(from);

    // The certificates come before Kindsmith, everything else after it.
    let into = Cluster::start().await?;
    into.call(&["create", "namespace", NAMESPACE]).ok().await?;
    into.restore(secrets).await?;
    let _kindsmith = Kindsmith::start(&into.control_plane).await?;
    into.restore(definitions).await?;
    into.call(&["wait", "--for=condition=Registered", "--timeout=60s", "appdef", "--all"]).ok().await?;
    served(&into.client, SHIPS).await?;
    into.restore(releases).await?;
    // Records of another cluster say nothing here.
    into.restore(records).await?;

    wait::until("the instance to be back", Duration::from_secs(30), || async { into.ship("one").await.map(drop) })
        .await?;
    let after = into.ship("one").await?;
    for member in ["/spec", "/metadata/labels", "/metadata/annotations", "/status/anchored"] {
        ensure!(after.pointer(member) == before.pointer(member), "it has other {member}: {after}");
    }
    ensure!(owners(&after) == owners(&before), "other owners: {:#?} were {:#?}", owners(&after), owners(&before));
    ensure!(after["metadata"]["uid"] != before["metadata"]["uid"], "the uid is the same");
    let release = done(&into.client, "GET", &format!("{RELEASES}/ships-one"), None).await?;
    ensure!(release["spec"]["suspend"] == true && release["metadata"]["labels"]["platform"] == "yes", "{release}");
    ensure!(into.call(&api_service).ok().await? == trusted, "another CA is trusted");

    // Nothing is collected as garbage, and a conflict is the one that it was.
    let owned = into.ship("owned").await?;
    ensure!(owned["metadata"]["ownerReferences"].is_null(), "it belongs to {owned}");
    let other = instance("Ship", "one", &json!({"size": "small"}));
    let conflict = into.call(&[&apply[..], &[&manager("people")]].concat()).stdin(&other.to_string()).fails().await?;
    ensure!(conflict.contains("conflict with \"gitops\""), "{conflict}");

    // The generation that was refused is the only one there is, and instances that do not fit it are served all the same.
    into.waits_for("rafts.backup.example.com", "Accepted", "True").await?;
    let raft = done(&into.client, "GET", &SHIPS.replace("ships", "rafts/two"), None).await?;
    let unfit = raft["status"]["conditions"].as_array().into_iter().flatten().find(|it| it["type"] == "ValuesValid");
    ensure!(raft["spec"]["crew"] == 5 && unfit.is_some_and(|it| it["status"] == "False"), "{raft}");
    // Those of the other cluster stay, and are of no account.
    let records = into.saved(&["controllerrevisions", "--namespace", NAMESPACE]).await?;
    ensure!(records["items"].as_array().map(Vec::len) == Some(4), "there are {records}");
    Ok(())
}
