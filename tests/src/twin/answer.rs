//! An answer as it came over the wire, with the parts that a comparison needs.

use std::time::Duration;

use anyhow::{Context, Result};
use http::Request;
use kube::Client;
use serde_json::Value;

/// Headers that clients act on.
const COMPARED: [&str; 5] = ["content-type", "warning", "retry-after", "location", "cache-control"];

/// How long an answer may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// What one side answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The headers that matter, in the order of their names.
    pub headers: Vec<(&'static str, String)>,
    /// The body: JSON if it is that, else a string.
    pub body: Value,
}

impl Answer {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// The connection failed. An error of the API is an answer.
    pub async fn to(client: &Client, request: Request<Vec<u8>>) -> Result<Answer> {
        let what = format!("{} {}", request.method(), request.uri());
        let answered = tokio::time::timeout(DEADLINE, Self::whole(client, request)).await;
        answered.with_context(|| format!("no answer in {} s to {what}", DEADLINE.as_secs()))?.with_context(|| what)
    }

    async fn whole(client: &Client, request: Request<Vec<u8>>) -> Result<Answer> {
        let answer = client.send(request.map(Into::into)).await?;
        let code = answer.status().as_u16();
        let headers = COMPARED
            .into_iter()
            .flat_map(|name| {
                let values = answer.headers().get_all(name).into_iter();
                values.map(move |value| (name, String::from_utf8_lossy(value.as_bytes()).into_owned()))
            })
            .collect();
        let bytes = answer.into_body().collect_bytes().await?;
        Ok(Answer { code, headers, body: body(&bytes) })
    }
}

/// A body, whatever its format.
pub(super) fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .or_else(|_| events(bytes).ok_or(()))
        .or_else(|()| yaml(bytes).ok_or(()))
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

/// The events of a watch that has ended, one a line.
fn events(bytes: &[u8]) -> Option<Value> {
    let lines = std::str::from_utf8(bytes).ok()?.lines().map(serde_json::from_str::<Value>);
    lines.collect::<Result<Vec<_>, _>>().ok().filter(|events| !events.is_empty()).map(Value::from)
}

/// A body in YAML that is more than a word.
fn yaml(bytes: &[u8]) -> Option<Value> {
    let value: Value = serde_saphyr::from_str(std::str::from_utf8(bytes).ok()?).ok()?;
    (value.is_object() || value.is_array()).then_some(value)
}
