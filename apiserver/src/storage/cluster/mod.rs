//! A Kubernetes cluster as the host.
//!
//! Objects go through as JSON, so what a newer cluster knows and we do not stays in them. Every call has a deadline.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use http::{Method, Request, header};
use kube::{Client, core::Status};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    host::{
        DeleteOptions, Deleted, Host, HostError, HostEvent, HostList, HostResource, Key, ListAt, Persistence, Progress,
        Propagation, WriteOptions, WriteTarget, encoded, key_of,
    },
    status,
};
use crate::request::{Name, Namespace};

/// Proof that a resource is not there.
mod absence;

/// The difference of two objects as a merge patch.
mod difference;

/// Errors of the client as errors of the host.
mod error;

/// The present state, streamed.
mod initial;

/// Objects that cannot be read.
mod unreadable;

/// URLs of calls.
mod url;

#[cfg(test)]
mod tests;

use difference::Patch;
use error::{host_error, modified};
use initial::Streamed;
use unreadable::Page;
use url::Url;

/// How long one call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// Objects of one page of a list.
const PAGE_OBJECTS: usize = 500;

/// Seconds after which the cluster ends a watch; it is resumed then.
const WATCH_SECONDS: u64 = 290;

/// How long a watch may be silent before its connection is taken for dead: the cluster sends bookmarks about every minute.
const WATCH_SILENCE_MAX: Duration = Duration::from_secs(150);

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

    async fn call<T: DeserializeOwned>(
        &self,
        resource: &HostResource,
        method: Method,
        url: Url,
        body: Option<(&'static str, Value)>,
    ) -> Result<T, HostError> {
        let (content_type, body) = match body {
            Some((content_type, value)) => (content_type, value.to_string().into_bytes()),
            None => ("application/json", Vec::new()),
        };
        let request = Request::builder()
            .method(method)
            .uri(url.into_string())
            .header(header::CONTENT_TYPE, content_type)
            .header(header::ACCEPT, "application/json")
            .body(body)
            .map_err(|error| HostError::Malformed(error.to_string()))?;
        let answer = tokio::time::timeout(CALL_DEADLINE, self.client.request::<T>(request)).await;
        answer
            .map_err(|_| HostError::Unreachable(format!("no answer within {} s", CALL_DEADLINE.as_secs())))?
            .map_err(|error| host_error(error, resource))
    }

    /// Opens a watch: one event a line.
    async fn lines(
        &self,
        resource: &HostResource,
        url: Url,
    ) -> Result<BoxStream<'static, Result<String, HostError>>, HostError> {
        let request = Request::builder()
            .uri(url.into_string())
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

    async fn listed(
        &self,
        resource: &HostResource,
        namespace: Option<Namespace<'_>>,
        at: ListAt,
    ) -> Result<HostList, HostError> {
        if (at, namespace) == (ListAt::MostRecent, None)
            && let Streamed::List(list) = self.streamed(resource).await?
        {
            return Ok(list);
        }
        let mut items: Vec<(Key, Bytes)> = Vec::new();
        let mut token = String::new();
        loop {
            let url = Url::collection(resource, namespace).with("limit", PAGE_OBJECTS);
            let url = match at {
                _ if !token.is_empty() => url.with("continue", &token),
                ListAt::MostRecent => url,
                ListAt::Exactly(revision) => {
                    url.with("resourceVersion", revision).with("resourceVersionMatch", "Exact")
                }
            };
            let page: Page = self.call(resource, Method::GET, url, None).await?;
            let (api_version, kind) = (api_version(resource), &resource.kind);
            items.extend(page.objects().map(|mut object| {
                // Items of a list may come without these.
                object["apiVersion"] = json!(api_version);
                object["kind"] = json!(kind);
                (key_of(&object), encoded(&object))
            }));
            token = text(&page.metadata, "/continue").to_owned();
            if token.is_empty() {
                return Ok(HostList { items, revision: revision(&json!({"metadata": page.metadata}))? });
            }
        }
    }
}

fn for_write(url: Url, options: &WriteOptions) -> Url {
    // Fields that this version of the cluster does not know are ours to keep out, not the tenant's to be warned of.
    let url = url.with("fieldManager", &options.field_manager).with("fieldValidation", "Ignore");
    match options.persistence {
        Persistence::Durable => url,
        Persistence::DryRun => url.with("dryRun", "All"),
    }
}

/// The namespace of an object; none for one of the cluster.
fn namespace_of(object: &Value) -> Result<Option<Namespace<'_>>, HostError> {
    let held = Some(text(object, "/metadata/namespace")).filter(|held| !held.is_empty());
    let malformed = |held: &str| HostError::Malformed(format!("an object cannot be in the namespace {held:?}"));
    held.map(|held| Namespace::parse(held).ok_or_else(|| malformed(held))).transpose()
}

fn name_of(object: &Value) -> Result<Name<'_>, HostError> {
    Name::parse(text(object, "/metadata/name")).map_err(|error| HostError::Malformed(error.to_string()))
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
    async fn get(
        &self,
        resource: &HostResource,
        namespace: Option<Namespace<'_>>,
        name: Name<'_>,
    ) -> Result<Value, HostError> {
        let url = Url::object(resource, namespace, name, WriteTarget::Main);
        match self.call(resource, Method::GET, url, None).await {
            Err(said @ HostError::NotServed(_)) => {
                self.nothing_of(resource, said).await?;
                Err(status::not_found(resource, name.as_str()))
            }
            read => read,
        }
    }

    async fn list(
        &self,
        resource: &HostResource,
        namespace: Option<Namespace<'_>>,
        at: ListAt,
    ) -> Result<HostList, HostError> {
        match (self.listed(resource, namespace, at).await, at) {
            (Err(said), ListAt::MostRecent) => self.nothing_of(resource, said).await,
            (listed, _) => listed,
        }
    }

    async fn revision(&self, resource: &HostResource) -> Result<u64, HostError> {
        // The metadata of a list of one: what it is asked for is its revision.
        let url = Url::collection(resource, None).with("limit", 1);
        let page: Page = self.call(resource, Method::GET, url, None).await?;
        revision(&json!({"metadata": page.metadata}))
    }

    fn progress(&self) -> Progress {
        Progress::Occasional
    }

    async fn create(&self, resource: &HostResource, object: Value, options: &WriteOptions) -> Result<Value, HostError> {
        let url = for_write(Url::collection(resource, namespace_of(&object)?), options);
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
        let (namespace, name) = (namespace_of(current)?, name_of(current)?);
        let url = for_write(Url::object(resource, namespace, name, target), options);
        let written = self.call(resource, Method::PATCH, url, Some(patch.body())).await;
        match written {
            // Steps that were made for another state may fail before the revision is looked at.
            Err(HostError::Status(status)) if status.code == 422 && in_steps => {
                let now = self.get(resource, namespace, name).await?;
                let moved = now["metadata"]["resourceVersion"] != current["metadata"]["resourceVersion"];
                Err(HostError::Status(if moved { modified(resource, current) } else { status }))
            }
            written => written,
        }
    }

    async fn delete(
        &self,
        resource: &HostResource,
        namespace: Option<Namespace<'_>>,
        name: Name<'_>,
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
        let url = Url::object(resource, namespace, name, WriteTarget::Main);
        let answer: Value = self.call(resource, Method::DELETE, url, Some(("application/json", body))).await?;
        Ok(if answer["kind"] == "Status" { Deleted::Gone } else { Deleted::Finalizing(answer) })
    }

    async fn watch(
        &self,
        resource: &HostResource,
        after: u64,
    ) -> Result<BoxStream<'static, Result<HostEvent, HostError>>, HostError> {
        let url = Url::collection(resource, None)
            .with("watch", true)
            .with("allowWatchBookmarks", true)
            .with("timeoutSeconds", WATCH_SECONDS)
            .with("resourceVersion", after);
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
    let mut event: Value = match serde_json::from_str(line) {
        Ok(event) => event,
        Err(error) => {
            let malformed = || HostError::Malformed(format!("a watch event cannot be read: {error}"));
            return unreadable::change(line, &error).ok_or_else(malformed);
        }
    };
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
