//! kube-apiserver's answers, by requests that change as little as possible.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kindsmith_tests::wait;
use kube::Client;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Cause, Verdict, comparable},
    case::{Status, Via},
};

/// The group of all definitions here.
pub(super) const GROUP: &str = "differential.example.org";

/// The version that takes every object, in which they are stored.
pub(super) const ANY_VERSION: &str = "v0";

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// How long a definition may take until all of its versions are served.
const SERVED_DEADLINE: Duration = Duration::from_secs(60);

/// How kube-apiserver starts the list of unknown and duplicate fields.
const STRICT: &str = "strict decoding error: ";

/// What kube-apiserver says before it says why it cannot read an object.
const UNREADABLE: &str = ": ";

/// kube-apiserver.
#[derive(Clone)]
pub(super) struct Theirs {
    client: Client,
}

/// Where objects of a schema are.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    /// The number of the definition.
    pub(super) definition: usize,
    /// The version.
    pub(super) version: String,
}

/// A version of a definition.
#[derive(Debug, Clone)]
pub(super) struct Version {
    /// Its schema.
    pub(super) schema: Value,
    /// Whether it has the subresource.
    pub(super) status: Status,
}

struct Reply {
    code: u16,
    warnings: Vec<String>,
    body: Value,
}

impl Resource {
    /// The kind of the definition.
    pub(super) fn kind(&self) -> String {
        format!("Thing{}", self.definition)
    }

    fn path(&self, version: &str) -> String {
        format!("/apis/{GROUP}/{version}/things{}", self.definition)
    }

    /// An object with these members.
    pub(super) fn object(&self, version: &str, metadata: &str, members: &str) -> String {
        let comma = if members.is_empty() { "" } else { "," };
        let own: Value = serde_json::from_str(&format!("{{{members}}}")).unwrap_or_default();
        let metadata = if own.get("metadata").is_some() { String::new() } else { format!("{metadata},") };
        let kind = self.kind();
        format!(r#"{{{members}{comma}{metadata}"apiVersion":"{GROUP}/{version}","kind":"{kind}"}}"#)
    }
}

impl Theirs {
    /// For an administrator's client.
    pub(super) fn new(client: Client) -> Theirs {
        Theirs { client }
    }

    /// Whether kube-apiserver would take a definition with this schema.
    pub(super) async fn compile(&self, schema: &Value, status: Status) -> Result<Answer> {
        let version = json_version("v1", schema, status, Role::Storage);
        let definition = definition(0, &[version]);
        let reply = self.send("POST", &format!("{DEFINITIONS}?dryRun=All"), definition.to_string()).await?;
        Ok(match reply.verdict()? {
            Verdict::Accepted(_) => Answer::of(Verdict::Accepted(Value::Null)),
            refused => Answer::of(refused),
        })
    }

    /// Installs a definition with these versions, `v1` and on, beside the one that takes everything.
    pub(super) async fn install(&self, number: usize, versions: &[Version]) -> Result<()> {
        let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let mut all = vec![json_version(ANY_VERSION, &any, Status::Field, Role::Storage)];
        for (i, version) in versions.iter().enumerate() {
            all.push(json_version(&format!("v{}", i + 1), &version.schema, version.status, Role::Other));
        }
        let definition = definition(number, &all);
        let reply = self.send("POST", DEFINITIONS, definition.to_string()).await?;
        ensure!(reply.code == 201, "definition {number} is refused: {}", reply.body);
        let resource = Resource { definition: number, version: format!("v{}", versions.len()) };
        let path = format!("{}?limit=1", resource.path(&resource.version));
        wait::until("a definition to be served", SERVED_DEADLINE, || async {
            let reply = self.send("GET", &path, String::new()).await?;
            ensure!(reply.code == 200, "{path} gives {}", reply.code);
            Ok(())
        })
        .await
    }

    /// Creates an object, as a trial.
    pub(super) async fn create(&self, resource: &Resource, text: &str) -> Result<Answer> {
        let path = format!("{}?dryRun=All", resource.path(&resource.version));
        self.write("POST", &path, text).await
    }

    /// Creates an object, and returns it as the version of `resource` shows it.
    pub(super) async fn store(&self, resource: &Resource, name: &str, members: &str) -> Result<Value> {
        let metadata = format!(r#""metadata":{{"name":"{name}"}}"#);
        let text = resource.object(ANY_VERSION, &metadata, members);
        let reply = self.send("POST", &resource.path(ANY_VERSION), text).await?;
        ensure!(reply.code == 201, "the old object is refused: {}", reply.body);
        let path = format!("{}/{name}", resource.path(&resource.version));
        let reply = self.send("GET", &path, String::new()).await?;
        ensure!(reply.code == 200, "the old object cannot be read: {}", reply.body);
        Ok(reply.body)
    }

    /// Replaces an object, as a trial.
    pub(super) async fn update(&self, resource: &Resource, name: &str, text: &str, via: Via) -> Result<Answer> {
        let subresource = if via == Via::Status { "/status" } else { "" };
        let path = format!("{}/{name}{subresource}?dryRun=All", resource.path(&resource.version));
        self.write("PUT", &path, text).await
    }

    async fn write(&self, method: &str, path: &str, text: &str) -> Result<Answer> {
        let reply = self.send(method, &format!("{path}&fieldValidation=Warn"), text.to_owned()).await?;
        let mut answer = Answer::of(reply.verdict()?);
        if !reply.warnings.is_empty() {
            let strict = self.send(method, &format!("{path}&fieldValidation=Strict"), text.to_owned()).await?;
            let message = strict.body["message"].as_str().unwrap_or_default();
            answer.strict = message.split_once(STRICT).map(|(_, complaints)| complaints.to_owned());
        }
        answer.warnings = reply.warnings;
        Ok(answer)
    }

    async fn send(&self, method: &str, path: &str, body: String) -> Result<Reply> {
        let request = http::Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.body(kube::client::Body::from(body.into_bytes())).context("making a request")?;
        let answer = self.client.send(request).await.with_context(|| format!("sending {method} {path}"))?;
        let code = answer.status().as_u16();
        let headers = answer.headers().get_all("warning").iter();
        let warnings = headers.map(|header| warning(&String::from_utf8_lossy(header.as_bytes()))).collect();
        let bytes = answer.into_body().collect_bytes().await.context("reading an answer")?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Reply { code, warnings, body })
    }
}

impl Reply {
    fn verdict(&self) -> Result<Verdict> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(match self.code {
            200 | 201 => Verdict::Accepted(comparable(self.body.clone())),
            400 => {
                let message = text(&self.body["message"]);
                Verdict::Malformed(message.split_once(UNREADABLE).map_or(message.clone(), |(_, why)| why.to_owned()))
            }
            422 => {
                let causes = self.body["details"]["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
                let cause = |cause: &Value| Cause {
                    reason: text(&cause["reason"]),
                    field: text(&cause["field"]),
                    message: without_time(&text(&cause["message"])),
                };
                Verdict::Invalid(causes.iter().map(cause).collect())
            }
            code => bail!("kube-apiserver answers {code}: {}", self.body),
        })
    }
}

/// Without the time in the names that kube-apiserver gives to the types of rules: `selfType871429701` → `selfType`.
fn without_time(message: &str) -> String {
    const NAME: &str = "selfType";
    let mut parts = message.split(NAME);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(NAME);
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    text
}

/// `299 - "text"` → `text`.
fn warning(header: &str) -> String {
    let quoted = header.split_once('"').map_or("", |(_, rest)| rest);
    let quoted = quoted.strip_suffix('"').unwrap_or(quoted);
    let mut text = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Storage,
    Other,
}

fn json_version(name: &str, schema: &Value, status: Status, role: Role) -> Value {
    let mut version = json!({
        "name": name, "served": true, "storage": role == Role::Storage, "schema": {"openAPIV3Schema": schema},
    });
    if status == Status::Subresource {
        version["subresources"] = json!({"status": {}});
    }
    version
}

fn definition(number: usize, versions: &[Value]) -> Value {
    let plural = format!("things{number}");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {"plural": plural, "singular": format!("thing{number}"), "kind": format!("Thing{number}")},
            "versions": versions,
        },
    })
}
