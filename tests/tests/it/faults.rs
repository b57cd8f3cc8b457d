//! Faults: of a definition, of the host, of Flux. The other kinds go on, and the error says what to do.

use std::time::Duration;

use anyhow::{Result, ensure};
use kindsmith_tests::{ControlPlane, Kindsmith, wait};

use crate::main_job::apply_definitions;

const BROKEN: &str = "
apiVersion: kindsmith.dev/v1alpha1
kind: ApplicationDefinition
metadata: {name: broken.apps.example.com}
spec:
  group: apps.example.com
  scope: Namespaced
  names: {kind: Broken, plural: broken}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {a: {type: strin}}}}}}
  backend: {helmRelease: {chartRef: {kind: OCIRepository, name: x, namespace: charts}, prefix: broken-}}
";

fn redis(name: &str, namespace: &str) -> String {
    format!(
        "{{apiVersion: apps.example.com/v1alpha1, kind: Redis, metadata: {{name: {name}, namespace: {namespace}}}}}"
    )
}

#[tokio::test]
async fn a_namespace_with_instances_can_be_deleted() -> Result<()> {
    let control_plane = ControlPlane::builder().controller_manager().start().await?;
    control_plane.install_flux_crds().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;
    call(&["create", "namespace", "team"]).ok().await?;
    for name in ["one", "two"] {
        call(&["create", "-f", "-"]).stdin(&redis(name, "team")).ok().await?;
    }
    call(&["delete", "namespace", "team", "--timeout=90s"]).ok().await?;
    let left = call(&["get", "redises,helmreleases", "-A", "-o", "name"]).ok().await?;
    ensure!(left.is_empty(), "left behind: {left}");
    Ok(())
}

#[tokio::test]
async fn a_bad_definition_and_a_missing_flux_leave_the_rest_serving() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;

    // Flux is not there: the kinds are in discovery, their use says what is missing.
    let missing = call(&["create", "-f", "-"]).stdin(&redis("early", "default")).fails().await?;
    ensure!(
        missing.contains("the cluster does not serve helmreleases.helm.toolkit.fluxcd.io"),
        "kubectl complained {missing}"
    );
    call(&["explain", "redises.spec"]).ok().await?;
    control_plane.install_flux_crds().await?;
    wait::until("the kind to work", Duration::from_secs(30), || async {
        call(&["create", "-f", "-"]).stdin(&redis("late", "default")).ok().await.map(drop)
    })
    .await?;
    wait::until("the list from the cache", Duration::from_secs(30), || async {
        let raw = "/apis/apps.example.com/v1alpha1/redises?resourceVersion=0";
        let listed = call(&["get", "--raw", raw]).ok().await?;
        ensure!(listed.contains("\"late\""), "the cache has {listed}");
        Ok(())
    })
    .await?;

    call(&["apply", "-f", "-"]).stdin(BROKEN).ok().await?;
    call(&["wait", "--for=condition=Accepted=False", "appdef/broken.apps.example.com", "--timeout=20s"]).ok().await?;
    let message = "jsonpath={.status.conditions[?(@.type==\"Accepted\")].message}";
    let message = call(&["get", "appdef", "broken.apps.example.com", "-o", message]).ok().await?;
    ensure!(
        message.contains("spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[a].type"),
        "it says {message}"
    );
    call(&["get", "redises"]).ok().await?;
    Ok(())
}

#[tokio::test]
async fn an_unreachable_host_is_said_and_discovery_goes_on() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;
    call(&["create", "-f", "-"]).stdin(&redis("kept", "default")).ok().await?;
    let own = kindsmith.client().await?;
    let ask = |path: &'static str| {
        let own = own.clone();
        async move {
            let request = http::Request::get(path).body(kube::client::Body::empty())?;
            let answer = own.send(request).await?;
            let (code, retry) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
            let body = answer.into_body().collect_bytes().await?;
            anyhow::Ok((code, retry, String::from_utf8_lossy(&body).into_owned()))
        }
    };
    let cached = "/apis/apps.example.com/v1alpha1/redises?resourceVersion=0";
    wait::until("the cache", Duration::from_secs(10), || async {
        let (_, _, body) = ask(cached).await?;
        ensure!(body.contains("\"kept\""), "the cache has {body}");
        Ok(())
    })
    .await?;

    control_plane.stop_api_server()?;
    let (code, _, body) = ask("/apis/apps.example.com/v1alpha1").await?;
    ensure!(code == 200 && body.contains("redises"), "discovery answers {code} {body}");
    let (code, _, body) = ask(cached).await?;
    ensure!(code == 200 && body.contains("\"kept\""), "a list from the cache answers {code} {body}");
    let (code, retry, body) = ask("/apis/apps.example.com/v1alpha1/namespaces/default/redises/kept").await?;
    ensure!(code == 503 && retry && body.contains("cannot be reached"), "a get answers {code} {body}");

    control_plane.start_api_server().await?;
    wait::until("the kind to work again", Duration::from_secs(60), || async {
        call(&["get", "redis", "kept"]).ok().await.map(drop)
    })
    .await
}
