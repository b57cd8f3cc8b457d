//! The status of an instance refers to what belongs to it: names of Secrets, Services, Ingresses, never contents.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{AsyncBufReadExt as _, StreamExt as _};
use kindsmith_tests::{ControlPlane, Kindsmith, wait};
use kube::Client;
use serde_json::{Value, json};

use crate::releases::{RELEASES, ask, done, served};

const MAILS: &str = "/apis/apps.example.com/v1alpha1/namespaces/default/mails";

const MAIL: &str = "
apiVersion: kindsmith.dev/v1alpha1
kind: ApplicationDefinition
metadata: {name: mails.apps.example.com}
spec:
  group: apps.example.com
  scope: Namespaced
  names: {kind: Mail, plural: mails}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {size: {type: integer}}}}
  backend:
    helmRelease:
      chartRef: {kind: OCIRepository, name: mail, namespace: charts}
      prefix: mail-
      resources:
        secrets:
          include:
          - resourceNames: ['{{ .release }}-credentials']
          - matchLabels: {mail: '{{ .name }}'}
          exclude:
          - matchLabels: {internal: 'true'}
        services: {include: [{resourceNames: ['{{ .release }}', '{{ .release }}-imap']}]}
        ingresses: {include: [{matchLabels: {mail: '{{ .name }}'}}]}
";

const BELONGING: &str = "
apiVersion: v1
kind: Secret
metadata: {name: mail-a-credentials}
stringData: {password: tell-nobody}
---
apiVersion: v1
kind: Secret
metadata: {name: mail-b-credentials}
---
apiVersion: v1
kind: Secret
metadata: {name: labelled, labels: {mail: a}}
---
apiVersion: v1
kind: Secret
metadata: {name: inner, labels: {mail: a, internal: 'true'}}
---
apiVersion: v1
kind: Service
metadata: {name: mail-a-imap}
spec: {ports: [{port: 143}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, labels: {mail: a}}
spec: {defaultBackend: {service: {name: mail-a-imap, port: {number: 143}}}}
";

fn reference(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "name": name})
}

async fn refers(client: &Client, wanted: &Value) -> Result<Value> {
    wait::until("the references", Duration::from_secs(15), || async {
        let seen = done(client, "GET", &format!("{MAILS}/a"), None).await?;
        ensure!(seen["status"].get("resources").unwrap_or(&json!([])) == wanted, "the status is {}", seen["status"]);
        Ok(seen)
    })
    .await
}

#[tokio::test]
async fn the_status_refers_to_what_belongs_to_the_instance() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    call(&["apply", "-f", "-"]).stdin(MAIL).ok().await?;
    let client = control_plane.client().await?;
    served(&client, MAILS).await?;
    for name in ["a", "b"] {
        let mail = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Mail", "metadata": {"name": name}});
        done(&client, "POST", MAILS, Some(&mail)).await?;
    }
    let mut before = done(&client, "GET", &format!("{MAILS}/a"), None).await?;
    let since = before["metadata"]["resourceVersion"].as_str().context("no revision")?.to_owned();
    call(&["apply", "-f", "-"]).stdin(BELONGING).ok().await?;
    let wanted = json!([
        reference("networking.k8s.io/v1", "Ingress", "web"),
        reference("v1", "Secret", "labelled"),
        reference("v1", "Secret", "mail-a-credentials"),
        reference("v1", "Service", "mail-a-imap"),
    ]);
    let seen = refers(&client, &wanted).await?;
    let release = done(&client, "GET", &format!("{RELEASES}/mail-a"), None).await?;
    for object in [&seen, &release] {
        ensure!(!object.to_string().contains("tell-nobody"), "it holds a content: {object}");
    }

    // A watch tells of it, a list from the cache has it, and who wrote before is not late.
    let url = format!("{MAILS}?watch=true&fieldSelector=metadata.name=a&resourceVersion={since}");
    let mut lines = client.request_stream(http::Request::get(url).body(Vec::new())?).await?.lines().boxed();
    let told = async {
        loop {
            let line = lines.next().await.context("the watch ended")??;
            let event: Value = serde_json::from_str(&line)?;
            if event["object"]["status"]["resources"] == wanted {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told).await.context("the watch told nothing")??;
    let cached = done(&client, "GET", &format!("{MAILS}?resourceVersion=0"), None).await?;
    let of_a = cached["items"].as_array().into_iter().flatten().find(|item| item["metadata"]["name"] == "a");
    ensure!(of_a.is_some_and(|item| item["status"]["resources"] == wanted), "the cache has {cached}");
    before["spec"]["size"] = json!(3);
    done(&client, "PUT", &format!("{MAILS}/a"), Some(&before)).await.context("made before the references moved")?;
    refers(&client, &wanted).await.context("after a write")?;

    // What goes is referred to no more; neither is what the definition selects no more.
    done(&client, "DELETE", "/api/v1/namespaces/default/secrets/labelled", None).await?;
    let change = json!({"spec": {"backend": {"helmRelease": {"resources": {"ingresses": null}}}}});
    let definition = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions/mails.apps.example.com";
    done(&client, "PATCH", definition, Some(&change)).await?;
    let left = json!([reference("v1", "Secret", "mail-a-credentials"), reference("v1", "Service", "mail-a-imap")]);
    refers(&client, &left).await.context("after some went")?;
    let none = json!({"spec": {"backend": {"helmRelease": {"resources": null}}}});
    done(&client, "PATCH", definition, Some(&none)).await?;
    refers(&client, &json!([])).await.context("after nothing is selected")?;
    wait::until("the annotation to go", Duration::from_secs(15), || async {
        let release = done(&client, "GET", &format!("{RELEASES}/mail-a"), None).await?;
        let held = &release["metadata"]["annotations"]["kindsmith.dev/resources"];
        ensure!(held.is_null(), "there is {held}");
        Ok(())
    })
    .await?;

    // A selector that would take what belongs to others is refused.
    let loose = json!({"secrets": {"include": [{"matchLabels": {"app": "mail"}}]}});
    let loose = json!({"spec": {"backend": {"helmRelease": {"resources": loose}}}});
    let (code, answer) = ask(&client, "PATCH", definition, Some(&loose)).await?;
    ensure!(code == 200, "{code}: {answer}");
    wait::until("the verdict", Duration::from_secs(15), || async {
        let held = done(&client, "GET", definition, None).await?;
        let conditions = held["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let message = conditions.iter().find(|it| it["type"] == "Accepted").map(|it| it["message"].to_string());
        ensure!(
            message.as_deref().unwrap_or_default().contains("resources.secrets.include[0].matchLabels"),
            "it says {message:?}"
        );
        Ok(())
    })
    .await
}
