//! Argo CD's engine knows a kind of ours, watches it, compares its objects and prunes them, within seconds after a definition comes,
//! changes, goes, or comes back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kindsmith_tests::{
    ControlPlane, Kindsmith,
    gitops_engine::{Absent, GitopsEngine},
    wait,
};
use serde_json::{Value, json};

/// How long the engine may take to notice.
const NOTICED_MAX: Duration = Duration::from_secs(60);

const WIDGET: &str = "
apiVersion: kindsmith.dev/v1alpha1
kind: ApplicationDefinition
metadata: {name: widgets.gitops.example.com}
spec:
  group: gitops.example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer}}}
  backend:
    helmRelease: {chartRef: {kind: OCIRepository, name: widget, namespace: charts}, prefix: widget-}
";

const NAME: &str = "appdef/widgets.gitops.example.com";

fn widget(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "gitops.example.com/v1", "kind": "Widget",
        "metadata": {"name": name, "namespace": "default", "labels": {"gitops.example.com/managed": "yes"}}, "spec": spec})
}

/// Asks the engine until what it says is as wanted; returns how long that took.
async fn noticed<T: PartialEq + std::fmt::Debug>(
    what: &str,
    wanted: T,
    mut ask: impl AsyncFnMut() -> Result<T>,
) -> Result<()> {
    let began = Instant::now();
    loop {
        let said = ask().await;
        if said.as_ref().is_ok_and(|said| *said == wanted) {
            println!("{what}: noticed after {:.1} s", began.elapsed().as_secs_f64());
            return Ok(());
        }
        ensure!(began.elapsed() < NOTICED_MAX, "{what}: the engine says {said:?}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn define(control_plane: &ControlPlane, definition: &str) -> Result<()> {
    control_plane.kubectl(["apply", "-f", "-"]).stdin(definition).ok().await?;
    let ready = ["wait", "--for=condition=Ready", NAME, "--timeout=60s"];
    control_plane.kubectl(ready).ok().await.map(drop)
}

#[tokio::test]
async fn argo_cds_engine_follows_definitions_that_come_change_and_go() -> Result<()> {
    // The engine deletes in the foreground, which the garbage collector ends.
    let control_plane = ControlPlane::builder().controller_manager().start().await?;
    control_plane.install_flux_crds().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let mut engine = match GitopsEngine::start(&control_plane.kubeconfig()).await {
        Ok(engine) => engine,
        Err(Absent::NotBuilt(why)) => {
            println!("ignored: the engine of Argo CD cannot be built here: {why:#}");
            return Ok(());
        }
        Err(Absent::Broken(error)) => return Err(error),
    };
    let kind = |does: &str| json!({"do": does, "group": "gitops.example.com", "kind": "Widget"});
    let names = |names: &[&str]| json!(names.iter().map(|name| format!("default/{name}")).collect::<Vec<_>>());
    ensure!(engine.ask(&kind("known")).await.is_err(), "it knows a kind that is not there");

    // A kind comes, and is watched.
    define(&control_plane, WIDGET).await?;
    noticed("a new kind", true, async || Ok(engine.ask(&kind("known")).await.is_ok())).await?;
    let (one, two) = (widget("one", &json!({"size": 1})), widget("two", &json!({"size": 2})));
    let results = engine.sync(&[one.clone(), two.clone()]).await?;
    ensure!(results.iter().all(|it| it.contains(" Synced: ")) && results.len() == 2, "{results:?}");
    noticed("its objects", names(&["one", "two"]), async || Ok(engine.ask(&kind("objects")).await?["objects"].take()))
        .await?;
    let other = widget("two", &json!({"size": 3}));
    for mode in ["three-way", "structured", "server"] {
        let same = [one.clone(), two.clone()];
        noticed(&format!("no difference, {mode}"), false, async || engine.diff(mode, &same).await).await?;
        ensure!(engine.diff(mode, &[one.clone(), other.clone()]).await?, "{mode} finds no difference");
    }
    let results = engine.sync(std::slice::from_ref(&one)).await?;
    ensure!(results.iter().any(|it| it.starts_with("two Pruned")), "{results:?}");
    noticed("a pruned object", names(&["one"]), async || Ok(engine.ask(&kind("objects")).await?["objects"].take()))
        .await?;

    // Its schema changes.
    define(&control_plane, &WIDGET.replace("{size:", "{color: {type: string}, size:")).await?;
    let coloured = [widget("one", &json!({"size": 1, "color": "red"}))];
    for mode in ["structured", "server", "three-way"] {
        noticed(&format!("a new field, {mode}"), true, async || engine.diff(mode, &coloured).await).await?;
    }
    let results = engine.sync(&coloured).await?;
    ensure!(results.iter().all(|it| it.starts_with("one Synced")), "{results:?}");
    noticed("the new field", false, async || engine.diff("structured", &coloured).await).await?;

    // It goes, and comes back.
    engine.sync(&[]).await?;
    wait::until("the objects to be gone", Duration::from_secs(60), || async {
        let left = control_plane.kubectl(["get", "widgets", "-o", "name"]).ok().await?;
        ensure!(left.is_empty(), "left: {left}");
        Ok(())
    })
    .await?;
    control_plane.kubectl(["delete", NAME, "--timeout=60s"]).ok().await?;
    noticed("a kind that went", false, async || Ok(engine.ask(&kind("known")).await.is_ok())).await?;
    define(&control_plane, WIDGET).await?;
    noticed("a kind that came back", true, async || Ok(engine.ask(&kind("known")).await.is_ok())).await?;
    control_plane.kubectl(["create", "-f", "-"]).stdin(&widget("three", &json!({"size": 3})).to_string()).ok().await?;
    noticed("an object that others made", names(&["three"]), async || {
        Ok(engine.ask(&kind("objects")).await?["objects"].take())
    })
    .await
}
