//! A Kubernetes cluster as the host.
//!
//! Objects go through as JSON, so what a newer cluster knows and we do not stays in them. Every call has a deadline.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use http::{Method, Request, header};
use kindsmith_crds::Scope;
use kube::{Client, core::Status};
use serde_json::{Value, json};

use super::host::{
    DeleteOptions, Deleted, Host, HostError, HostEvent, HostList, HostResource, Key, ListAt, Persistence, Progress,
    Propagation, WriteOptions, WriteTarget, encoded, key_of,
};

/// The difference of two objects as a merge patch.
mod difference;

/// Errors of the client as errors of the host.
mod error;

/// The present state, streamed.
mod initial;

use difference::Patch;
use error::{host_error, modified};
use initial::Streamed;

/// How long one call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// Objects of one page of a list.
const PAGE_OBJECTS: usize = 500;

/// Seconds after which the cluster ends a watch; it is resumed then.
const WATCH_SECONDS: u64 = 290;

/// How long a watch may be silent before its connection is taken for dead: the cluster sends bookmarks about every minute.
const WATCH_SILENCE_MAX: Duration = Duration::from_secs(150);

/// Characters that stand as they are in a query.
static QUERY: LazyLock<percent_encoding::AsciiSet> =
    LazyLock::new(|| percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~'));

/// A Kubernetes cluster as the host.
pub struct Cluster {
    client: Client,
}

impl Cluster {
    /// The cluster of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn call(
        &self,
        resource: &HostResource,
        method: Method,
        url: String,
        body: Option<(&'static str, Value)>,
    ) -> Result<Value, HostError> {
        let (content_type, body) = match body {
            Some((content_type, value)) => (content_type, value.to_string().into_bytes()),
            None => ("application/json", Vec::new()),
        };
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::CONTENT_TYPE, content_type)
            .header(header::ACCEPT, "application/json")
            .body(body)
            .map_err(|error| HostError::Malformed(error.to_string()))?;
        let answer = tokio::time::timeout(CALL_DEADLINE, self.client.request::<Value>(request)).await;
        answer
            .map_err(|_| HostError::Unreachable(format!("no answer within {} s", CALL_DEADLINE.as_secs())))?
            .map_err(|error| host_error(error, resource))
    }

    /// Opens a watch: one event a line.
    async fn lines(
        &self,
        resource: &HostResource,
        url: String,
    ) -> Result<BoxStream<'static, Result<String, HostError>>, HostError> {
        let request = Request::builder()
            .uri(url)
            .header(header::ACCEPT, "application/json")
            .body(Vec::new())
            .map_err(|error| HostError::Malformed(error.to_string()))?;
        let opened = tokio::time::timeout(CALL_DEADLINE, self.client.request_stream(request)).await;
        let lines = opened
            .map_err(|_| HostError::Unreachable(format!("no answer within {} s", CALL_DEADLINE.as_secs())))?
            .map_err(|error| host_error(error, resource))?
            .lines()
            .map_err(|error| HostError::Unreachable(error.to_string()));
        Ok(lines.boxed())
    }
}

fn collection(resource: &HostResource, namespace: Option<&str>) -> String {
    let root = if resource.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", resource.group) };
    match namespace {
        Some(namespace) if resource.scope == Scope::Namespaced => {
            format!("{root}/{}/namespaces/{namespace}/{}", resource.version, resource.plural)
        }
        _ => format!("{root}/{}/{}", resource.version, resource.plural),
    }
}

fn path(resource: &HostResource, namespace: Option<&str>, name: &str) -> String {
    let name = percent_encoding::utf8_percent_encode(name, &QUERY);
    format!("{}/{name}", collection(resource, namespace))
}

fn write_query(options: &WriteOptions) -> String {
    let manager = percent_encoding::utf8_percent_encode(&options.field_manager, &QUERY);
    let dry_run = match options.persistence {
        Persistence::Durable => "",
        Persistence::DryRun => "&dryRun=All",
    };
    // Fields that this version of the cluster does not know are ours to keep out, not the tenant's to be warned of.
    format!("?fieldManager={manager}&fieldValidation=Ignore{dry_run}")
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn revision(object: &Value) -> Result<u64, HostError> {
    let text = text(object, "/metadata/resourceVersion");
    text.parse().map_err(|_| HostError::Malformed(format!("resourceVersion {text:?} is not a number")))
}

#[async_trait]
impl Host for Cluster {
    async fn get(&self, resource: &HostResource, namespace: Option<&str>, name: &str) -> Result<Value, HostError> {
        self.call(resource, Method::GET, path(resource, namespace, name), None).await
    }

    async fn list(&self, resource: &HostResource, namespace: Option<&str>, at: ListAt) -> Result<HostList, HostError> {
        let exactly = match at {
            ListAt::MostRecent => String::new(),
            ListAt::Exactly(revision) => format!("&resourceVersion={revision}&resourceVersionMatch=Exact"),
        };
        if (at, namespace) == (ListAt::MostRecent, None)
            && let Streamed::List(list) = self.streamed(resource).await?
        {
            return Ok(list);
        }
        let mut items: Vec<(Key, Bytes)> = Vec::new();
        let mut token = String::new();
        loop {
            let page = if token.is_empty() {
                exactly.clone()
            } else {
                format!("&continue={}", percent_encoding::utf8_percent_encode(&token, &QUERY))
            };
            let url = format!("{}?limit={PAGE_OBJECTS}{page}", collection(resource, namespace));
            let mut list = self.call(resource, Method::GET, url, None).await?;
            let held = list.get_mut("items").map(Value::take);
            let (api_version, kind) = (api_version(resource), &resource.kind);
            if let Some(Value::Array(held)) = held {
                items.extend(held.into_iter().map(|mut object| {
                    // Items of a list may come without these.
                    object["apiVersion"] = json!(api_version);
                    object["kind"] = json!(kind);
                    (key_of(&object), encoded(&object))
                }));
            }
            token = text(&list, "/metadata/continue").to_owned();
            if token.is_empty() {
                return Ok(HostList { items, revision: revision(&list)? });
            }
        }
    }

    async fn revision(&self, resource: &HostResource) -> Result<u64, HostError> {
        // The metadata of a list of one: what it is asked for is its revision.
        let url = format!("{}?limit=1", collection(resource, None));
        revision(&self.call(resource, Method::GET, url, None).await?)
    }

    fn progress(&self) -> Progress {
        Progress::Occasional
    }

    async fn create(&self, resource: &HostResource, object: Value, options: &WriteOptions) -> Result<Value, HostError> {
        let namespace = Some(text(&object, "/metadata/namespace")).filter(|held| !held.is_empty());
        let url = format!("{}{}", collection(resource, namespace), write_query(options));
        self.call(resource, Method::POST, url, Some(("application/json", object))).await
    }

    async fn update(
        &self,
        resource: &HostResource,
        current: &Value,
        next: Value,
        target: WriteTarget,
        options: &WriteOptions,
    ) -> Result<Value, HostError> {
        let patch = Patch::new(current, &next);
        let in_steps = matches!(patch, Patch::Json(_));
        let namespace = Some(text(current, "/metadata/namespace")).filter(|held| !held.is_empty());
        let subresource = match target {
            WriteTarget::Main => "",
            WriteTarget::Status => "/status",
        };
        let url = format!(
            "{}{subresource}{}",
            path(resource, namespace, text(current, "/metadata/name")),
            write_query(options)
        );
        let written = self.call(resource, Method::PATCH, url, Some(patch.body())).await;
        match written {
            // Steps that were made for another state may fail before the revision is looked at.
            Err(HostError::Status(status)) if status.code == 422 && in_steps => {
                let now = self.get(resource, namespace, text(current, "/metadata/name")).await?;
                let moved = now["metadata"]["resourceVersion"] != current["metadata"]["resourceVersion"];
                Err(HostError::Status(if moved { modified(resource, current) } else { status }))
            }
            written => written,
        }
    }

    async fn delete(
        &self,
        resource: &HostResource,
        namespace: Option<&str>,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, HostError> {
        let mut body = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {}});
        for (member, value) in [("uid", &options.uid), ("resourceVersion", &options.resource_version)] {
            if let Some(value) = value {
                body["preconditions"][member] = json!(value);
            }
        }
        if let Some(propagation) = options.propagation {
            body["propagationPolicy"] = json!(match propagation {
                Propagation::Orphan => "Orphan",
                Propagation::Background => "Background",
                Propagation::Foreground => "Foreground",
            });
        }
        if options.persistence == Persistence::DryRun {
            body["dryRun"] = json!(["All"]);
        }
        let url = path(resource, namespace, name);
        let answer = self.call(resource, Method::DELETE, url, Some(("application/json", body))).await?;
        Ok(if answer["kind"] == "Status" { Deleted::Gone } else { Deleted::Finalizing(answer) })
    }

    async fn watch(
        &self,
        resource: &HostResource,
        after: u64,
    ) -> Result<BoxStream<'static, Result<HostEvent, HostError>>, HostError> {
        let url = format!(
            "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={after}",
            collection(resource, None)
        );
        let lines = self.lines(resource, url).await?;
        let resource = resource.clone();
        let events = stream::unfold(Some(lines), move |lines| {
            let resource = resource.clone();
            async move {
                let mut lines = lines?;
                let line = match tokio::time::timeout(WATCH_SILENCE_MAX, lines.next()).await {
                    Err(_) => Err(HostError::Unreachable("the watch fell silent".to_owned())),
                    Ok(None) => return None,
                    Ok(Some(line)) => line,
                };
                let event = line.and_then(|line| parse_event(&line, &resource));
                let rest = event.is_ok().then_some(lines);
                Some((event, rest))
            }
        });
        Ok(events.boxed())
    }
}

fn api_version(resource: &HostResource) -> String {
    if resource.group.is_empty() {
        resource.version.clone()
    } else {
        format!("{}/{}", resource.group, resource.version)
    }
}

fn parse_event(line: &str, resource: &HostResource) -> Result<HostEvent, HostError> {
    let mut event: Value = serde_json::from_str(line)
        .map_err(|error| HostError::Malformed(format!("a watch event cannot be read: {error}")))?;
    let object = event.get_mut("object").map(Value::take).unwrap_or_default();
    match text(&event, "/type") {
        "ADDED" | "MODIFIED" => Ok(HostEvent::Applied { revision: revision(&object)?, object }),
        "DELETED" => Ok(HostEvent::Deleted { revision: revision(&object)?, object }),
        "BOOKMARK" => Ok(HostEvent::Progress { revision: revision(&object)? }),
        "ERROR" => match serde_json::from_value::<Status>(object) {
            Ok(status) => Err(HostError::Status(Box::new(status))),
            Err(error) => Err(HostError::Malformed(format!("an error of the watch cannot be read: {error}"))),
        },
        other => Err(HostError::Malformed(format!("unknown watch event {other:?} of {}", resource.plural))),
    }
}
