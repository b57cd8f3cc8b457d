//! What is answered in protobuf: a Status, metadata, discovery, OpenAPI v2. Custom resources have none.
//!
//! Sources: k8s.io/apimachinery/pkg/runtime/generated.proto, pkg/apis/meta/v1/generated.proto.

/// Metadata and discovery.
pub mod meta;

/// OpenAPI v2.
pub mod openapi_v2;

mod wire;

use prost::Message;
use serde_json::Value;

/// The media type.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, optional, tag = "1")]
    api_version: Option<String>,
    #[prost(string, optional, tag = "2")]
    kind: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", optional, tag = "2")]
    raw: Option<Vec<u8>>,
    #[prost(string, optional, tag = "3")]
    content_encoding: Option<String>,
    #[prost(string, optional, tag = "4")]
    content_type: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ListMeta {
    #[prost(string, optional, tag = "1")]
    self_link: Option<String>,
    #[prost(string, optional, tag = "2")]
    resource_version: Option<String>,
    #[prost(string, optional, tag = "3")]
    continue_token: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Cause {
    #[prost(string, optional, tag = "1")]
    reason: Option<String>,
    #[prost(string, optional, tag = "2")]
    message: Option<String>,
    #[prost(string, optional, tag = "3")]
    field: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Details {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    group: Option<String>,
    #[prost(string, optional, tag = "3")]
    kind: Option<String>,
    #[prost(message, repeated, tag = "4")]
    causes: Vec<Cause>,
    #[prost(int32, optional, tag = "5")]
    retry_after_seconds: Option<i32>,
    #[prost(string, optional, tag = "6")]
    uid: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ListMeta>,
    #[prost(string, optional, tag = "2")]
    status: Option<String>,
    #[prost(string, optional, tag = "3")]
    message: Option<String>,
    #[prost(string, optional, tag = "4")]
    reason: Option<String>,
    #[prost(message, optional, tag = "5")]
    details: Option<Details>,
    #[prost(int32, optional, tag = "6")]
    code: Option<i32>,
}

/// Encodes a Status. Go's encoder writes every text, empty ones too, and so does this.
#[must_use]
pub fn status(status: &Value) -> Vec<u8> {
    let text = |value: &Value, member: &str| Some(value[member].as_str().unwrap_or_default().to_owned());
    let number = |value: &Value| Some(value.as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or_default());
    let details = &status["details"];
    let causes = details["causes"].as_array().into_iter().flatten().map(|cause| Cause {
        reason: text(cause, "reason"),
        message: text(cause, "message"),
        field: text(cause, "field"),
    });
    let message = Status {
        metadata: Some(ListMeta {
            self_link: Some(String::new()),
            resource_version: text(&status["metadata"], "resourceVersion"),
            continue_token: text(&status["metadata"], "continue"),
        }),
        status: text(status, "status"),
        message: text(status, "message"),
        reason: text(status, "reason"),
        details: details.is_object().then(|| Details {
            name: text(details, "name"),
            group: text(details, "group"),
            kind: text(details, "kind"),
            causes: causes.collect(),
            retry_after_seconds: number(&details["retryAfterSeconds"]),
            uid: text(details, "uid"),
        }),
        code: number(&status["code"]),
    };
    enveloped("v1", "Status", message.encode_to_vec())
}

/// A message behind what says of which kind it is.
fn enveloped(api_version: &str, kind: &str, message: Vec<u8>) -> Vec<u8> {
    let envelope = Unknown {
        type_meta: Some(TypeMeta { api_version: Some(api_version.to_owned()), kind: Some(kind.to_owned()) }),
        raw: Some(message),
        content_encoding: Some(String::new()),
        content_type: Some(String::new()),
    };
    let mut bytes = b"k8s\0".to_vec();
    bytes.extend(envelope.encode_to_vec());
    bytes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_has_the_bytes_that_kube_apiserver_writes() {
        let bytes = status(&json!({"status": "Failure", "message": "no", "reason": "NotAcceptable", "code": 406}));
        let wanted = b"k8s\0\n\x0c\n\x02v1\x12\x06Status\x12\x27\n\x06\n\0\x12\0\x1a\0\x12\x07Failure\x1a\x02no\
            \"\rNotAcceptable0\x96\x03\x1a\0\"\0";
        assert_eq!(bytes, wanted);
    }
}
