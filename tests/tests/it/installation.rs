//! An installation that comes and goes, in whatever way: no group stays registered that nothing serves.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{Accounts, ControlPlane, Kindsmith, NAMESPACE, wait};
use kube::Client;
use serde_json::{Value, json};

use crate::{
    definition_life::VOLUME,
    own_rights::accounts,
    releases::{ask, done},
};

const ANCHOR: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/kindsmith-anchor";
const API_SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const API_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1.life.example.com";
const DEFINITION: &str = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions/volumes.life.example.com";
const VOLUMES: &str = "/apis/life.example.com/v1/namespaces/default/volumes";
const RELEASE: &str = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/default/helmreleases/volume-kept";

/// How long a namespace of somebody else may take to be deleted, whatever happens to us.
const NAMESPACE_GONE_MAX: Duration = Duration::from_secs(10);

/// An installation with the objects and the rights of the manifests.
struct Installed {
    control_plane: ControlPlane,
    client: Client,
}

/// An anchor, as the manifests have it.
fn anchor() -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "kindsmith-anchor", "labels": {"app.kubernetes.io/name": "kindsmith"}}})
}

impl Installed {
    async fn start(&self) -> Result<(Kindsmith, Accounts)> {
        let accounts = accounts(&self.control_plane).await?;
        Ok((Kindsmith::start_as(&self.control_plane, accounts.clone()).await?, accounts))
    }

    async fn uid(&self, path: &str) -> Result<String> {
        let found = done(&self.client, "GET", path, None).await?;
        found["metadata"]["uid"].as_str().map(str::to_owned).context("it has no uid")
    }

    /// Waits until the kind is registered, owned by the anchor that there is, and served.
    async fn registered(&self) -> Result<()> {
        let anchor = self.uid(ANCHOR).await?;
        wait::until("the kind to be served", Duration::from_secs(60), || async {
            let found = done(&self.client, "GET", API_SERVICE, None).await?;
            let owners = &found["metadata"]["ownerReferences"];
            let owner = json!([{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                "name": "kindsmith-anchor", "uid": anchor}]);
            ensure!(*owners == owner, "it is owned by {owners}");
            done(&self.client, "GET", VOLUMES, None).await.map(drop)
        })
        .await
    }

    async fn gone(&self, path: &str, within: Duration) -> Result<()> {
        wait::until(&format!("{path} to be gone"), within, || async {
            let (code, found) = ask(&self.client, "GET", path, None).await?;
            ensure!(code == 404, "it answers {code}: {found}");
            Ok(())
        })
        .await
    }

    /// Whether an APIService of ours is there.
    async fn is_registered(&self) -> Result<bool> {
        let ours = format!("{API_SERVICES}?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dkindsmith");
        let listed = done(&self.client, "GET", &ours, None).await?;
        Ok(listed["items"].as_array().is_none_or(|items| !items.is_empty()))
    }

    /// Makes a namespace of somebody else and deletes it; returns how long that took.
    async fn another_namespace_goes(&self, name: &str) -> Result<Duration> {
        let made = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        done(&self.client, "POST", "/api/v1/namespaces", Some(&made)).await?;
        let began = Instant::now();
        let path = format!("/api/v1/namespaces/{name}");
        done(&self.client, "DELETE", &path, None).await?;
        self.gone(&path, NAMESPACE_GONE_MAX).await?;
        Ok(began.elapsed())
    }

    async fn said(&self, condition: &str, wanted: &str) -> Result<()> {
        wait::until(&format!("{condition} to be {wanted}"), Duration::from_secs(30), || async {
            let definition = done(&self.client, "GET", DEFINITION, None).await?;
            let conditions = definition["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let found = conditions.iter().find(|it| it["type"] == condition).context("it is not said")?;
            let said = format!("{} {}", found["status"], found["reason"]).replace('"', "");
            ensure!(said == wanted, "it is {found}");
            Ok(())
        })
        .await
    }
}

/// Applied by a tool that replaces objects, the anchor is another one: the kind is taken from nobody.
async fn anchor_is_replaced(installed: &Installed) -> Result<()> {
    let before = installed.uid(API_SERVICE).await?;
    done(&installed.client, "DELETE", ANCHOR, None).await?;
    done(&installed.client, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", Some(&anchor())).await?;
    let began = Instant::now();
    installed.registered().await?;
    let taken = began.elapsed();
    let what = if installed.uid(API_SERVICE).await? == before { "the same" } else { "another" };
    println!("installation: anchor replaced: {what} APIService is owned and served after {} ms", taken.as_millis());
    ensure!(taken < Duration::from_secs(10), "the kind was away for {taken:?}");
    Ok(())
}

/// As by `helm uninstall --no-hooks` or `kubectl delete -f`: the apiserver ends, and the anchor goes.
async fn anchor_goes(installed: &Installed, kindsmith: &Kindsmith) -> Result<()> {
    kindsmith.stop_apiserver()?;
    let began = Instant::now();
    done(&installed.client, "DELETE", ANCHOR, None).await?;
    installed.gone(API_SERVICE, Duration::from_secs(10)).await?;
    let gone = began.elapsed();
    let namespace = installed.another_namespace_goes("after-the-anchor").await?;
    println!(
        "installation: anchor deleted: the dead APIService gone after {} ms, then another namespace after {} ms",
        gone.as_millis(),
        namespace.as_millis()
    );
    // The operator runs on, as it does for a while, and registers nothing.
    ensure!(!installed.is_registered().await?, "it was registered again");
    installed.said("Registered", "False AnchorDeleted").await?;
    done(&installed.client, "GET", RELEASE, None).await?;
    // It was deleted by mistake.
    kindsmith.start_apiserver().await?;
    ensure!(!installed.is_registered().await?, "it was registered again");
    done(&installed.client, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", Some(&anchor())).await?;
    let began = Instant::now();
    installed.registered().await?;
    println!("installation: anchor back: the kind is served after {} ms", began.elapsed().as_millis());
    installed.said("Ready", "True Ready").await
}

/// The namespace goes, and what is in none stays.
async fn namespace_goes(installed: &Installed, kindsmith: &Kindsmith, operator: Operator) -> Result<()> {
    let own = format!("/api/v1/namespaces/{NAMESPACE}");
    let id = kindsmith.operator_id().context("no operator runs")?;
    let signal = move |name: &'static str| move || Command::new("kill").args([name, &id.to_string()]).status();
    if operator == Operator::Ends {
        signal("-STOP")()?;
    }
    let began = Instant::now();
    done(&installed.client, "DELETE", &own, None).await?;
    if operator == Operator::Ends {
        // It hears of both at once, as where its machine is busy.
        let goes_on = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            signal("-CONT")()
        });
        kindsmith.stop_operator()?;
        goes_on.join().map_err(|_| anyhow::anyhow!("the thread panicked"))??;
    }
    installed.gone(API_SERVICE, Duration::from_secs(10)).await?;
    let unregistered = began.elapsed();
    // The pods end.
    kindsmith.stop_apiserver()?;
    let namespace = installed.another_namespace_goes(operator.name()).await?;
    println!(
        "installation: own namespace deleted while the operator {}: the kind was unregistered after {} ms, and another \
         namespace gone after {} ms",
        operator.name(),
        unregistered.as_millis(),
        namespace.as_millis()
    );
    if operator == Operator::RunsOn {
        installed.said("Registered", "False NamespaceTerminating").await?;
    }
    installed.gone(&own, Duration::from_secs(60)).await?;
    ensure!(!installed.is_registered().await?, "it was registered again");
    done(&installed.client, "GET", RELEASE, None).await.map(drop)
}

/// What an operator does when it hears that its namespace goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    RunsOn,
    Ends,
}

impl Operator {
    fn name(self) -> &'static str {
        match self {
            Self::RunsOn => "runs-on",
            Self::Ends => "ends",
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_takes_an_installation_away_leaves_no_group_that_nothing_serves() -> Result<()> {
    let control_plane = ControlPlane::builder().controller_manager().start().await?;
    control_plane.install_flux_crds().await?;
    let client = control_plane.client().await?;
    let installed = Installed { control_plane, client };
    let (kindsmith, _) = installed.start().await?;
    installed.control_plane.apply(VOLUME).await?;
    installed.registered().await?;
    let kept = json!({"apiVersion": "life.example.com/v1", "kind": "Volume", "metadata": {"name": "kept"}, "spec": {"size": "large"}});
    done(&installed.client, "POST", VOLUMES, Some(&kept)).await?;
    installed.said("Ready", "True Ready").await?;

    anchor_is_replaced(&installed).await?;
    anchor_goes(&installed, &kindsmith).await?;
    namespace_goes(&installed, &kindsmith, Operator::RunsOn).await?;
    let definition = done(&installed.client, "GET", DEFINITION, None).await?;
    ensure!(definition["metadata"]["finalizers"].is_null(), "a finalizer is left: {}", definition["metadata"]);
    drop(kindsmith);

    // A new installation has the instance again.
    let (kindsmith, _) = installed.start().await?;
    installed.registered().await?;
    done(&installed.client, "GET", &format!("{VOLUMES}/kept"), None).await?;
    namespace_goes(&installed, &kindsmith, Operator::Ends).await
}
