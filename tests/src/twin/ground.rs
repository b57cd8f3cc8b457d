//! A kind that both sides serve, and changes of its definition on both in step.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Request;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::answer::Answer;
use super::definition::{Change, Definition, Whose};
use crate::wait;

/// How long a side may take to serve a definition.
const SERVED: Duration = Duration::from_secs(60);

/// One side: where the kind is served.
#[derive(Clone)]
pub struct Side {
    /// A client for it.
    pub client: Client,
    /// The kind's group there.
    pub group: String,
}

/// A kind on both sides.
pub struct Ground {
    /// What is served.
    pub definition: Definition,
    /// Ours, and theirs.
    pub sides: [Side; 2],
    state: Mutex<State>,
}

/// How the definition is now.
#[derive(Default)]
struct State {
    changes: Vec<Change>,
    /// How often it was changed.
    times: usize,
}

impl Ground {
    /// Defines a kind on both sides; [`Ground::served`] waits for it.
    ///
    /// # Errors
    /// A side refuses the definition.
    pub async fn define(definition: Definition, clients: &[Client; 2]) -> Result<Ground> {
        let side = |client: &Client, whose| Side { client: client.clone(), group: definition.group(whose) };
        let sides = [side(&clients[0], Whose::Ours), side(&clients[1], Whose::Theirs)];
        for (side, whose) in sides.iter().zip([Whose::Ours, Whose::Theirs]) {
            side.define(&definition.manifest(whose)).await?;
        }
        Ok(Ground { definition, sides, state: Mutex::default() })
    }

    /// Returns when both sides serve the kind.
    ///
    /// # Errors
    /// One does not, in time.
    pub async fn served(&self) -> Result<()> {
        for (side, whose) in self.sides.iter().zip([Whose::Ours, Whose::Theirs]) {
            side.serves(&self.definition.manifest(whose), None).await?;
        }
        Ok(())
    }

    /// Changes the definition on both sides to what it was at first with these changes, and returns when both serve that.
    ///
    /// # Errors
    /// A side refuses it, or does not serve it in time.
    pub async fn change(&self, changes: &[Change]) -> Result<()> {
        let mut state = self.state.lock().await;
        if state.changes == changes {
            return Ok(());
        }
        state.times += 1;
        let marker = format!("Change {}", state.times);
        let manifest = |whose| self.definition.manifest_in(whose, changes, Some(&marker));
        let [ours, theirs] = [manifest(Whose::Ours), manifest(Whose::Theirs)];
        tokio::try_join!(self.sides[0].define(&ours), self.sides[1].define(&theirs))?;
        let served =
            tokio::try_join!(self.sides[0].serves(&ours, Some(&marker)), self.sides[1].serves(&theirs, Some(&marker)));
        served.with_context(|| format!("changing to {changes:?}"))?;
        state.changes = changes.to_vec();
        Ok(())
    }
}

impl Side {
    async fn send(&self, method: &str, path: &str, accept: &str, body: &Value) -> Result<Answer> {
        let request = Request::builder().method(method).uri(path).header("accept", accept);
        let request = request.header("content-type", "application/json");
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        Answer::to(&self.client, request.body(body)?).await
    }

    /// Creates or replaces what defines the kind. A change that would break instances is consented to.
    async fn define(&self, manifest: &Value) -> Result<()> {
        let field = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let collection = format!("/apis/{}/{}s", field("/apiVersion"), field("/kind").to_lowercase());
        let one = format!("{collection}/{}", field("/metadata/name"));
        let json = "application/json";
        loop {
            let held = self.send("GET", &one, json, &Value::Null).await?;
            let answer = if held.code == 404 {
                self.send("POST", &collection, json, manifest).await?
            } else {
                // Whoever else writes it has finalizers and annotations there.
                let mut object = held.body;
                object["spec"] = manifest["spec"].clone();
                let next = object["metadata"]["generation"].as_u64().unwrap_or_default() + 1;
                object["metadata"]["annotations"]["kindsmith.dev/force-schema-change"] = json!(next.to_string());
                self.send("PUT", &one, json, &object).await?
            };
            match answer.code {
                200 | 201 => return Ok(()),
                409 => {}
                code => anyhow::bail!("the definition gave {code}: {}", answer.body),
            }
        }
    }

    /// Returns when each version is served that is to be, and no other, by the definition with a marker.
    async fn serves(&self, manifest: &Value, marker: Option<&str>) -> Result<()> {
        for version in manifest["spec"]["versions"].as_array().into_iter().flatten() {
            let name = version["name"].as_str().unwrap_or_default();
            // From memory: what has a memory of its own fills it first.
            let path =
                format!("/apis/{}/{name}/twins?resourceVersion=0&fieldSelector=metadata.name%3Dnone", self.group);
            let wanted = if version["served"] == true { 200 } else { 404 };
            wait::until("the definition is served", SERVED, || async {
                let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
                let answer = self.send("GET", &path, accept, &Value::Null).await?;
                ensure!(answer.code == wanted, "{path} answers {}: {}", answer.code, answer.body);
                let columns = answer.body["columnDefinitions"].as_array().into_iter().flatten();
                let is_marked = marker.is_none_or(|marker| columns.into_iter().any(|column| column["name"] == marker));
                ensure!(name != "v1" || is_marked, "the definition before is served");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}
