//! The OpenAPI 3.0 document of one group-version.

use serde_json::{Map, Value, json};

use super::meta::{self, Scales};
use super::names::model_name;
use super::routes::{MEDIA_TYPES, Need, Route};
use super::{Dialect, Publishable, Subresource};

/// The whole document of a group-version, for `/openapi/v3/apis/<group>/<version>`. Kinds of other group-versions are
/// left out.
pub fn v3_document(group: &str, version: &str, kinds: &[Publishable<'_>]) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    let mut scales = Scales::Unused;
    for kind in kinds.iter().filter(|kind| kind.group == group && kind.version == version) {
        if kind.scale == Subresource::Served {
            scales = Scales::Used;
        }
        schemas.insert(model_name(group, version, kind.kind), kind.object_schema(Dialect::V3));
        schemas.insert(model_name(group, version, kind.list_kind), kind.list_schema(Dialect::V3));
        for route in kind.routes() {
            let item = paths.entry(route.path.as_str()).or_insert_with(|| path_item(kind, &route.path));
            if let Some(item) = item.as_object_mut() {
                item.insert(route.method.to_owned(), operation(kind, &route));
            }
        }
    }
    if !schemas.is_empty() {
        schemas.extend(meta::models(Dialect::V3, scales));
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kindsmith", "version": version},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// What all operations on a path have: the parts of the path itself, and `pretty`.
fn path_item(kind: &Publishable<'_>, path: &str) -> Value {
    let in_path = |name: &str, description: String| {
        json!({
            "name": name, "in": "path", "required": true, "description": description,
            "schema": {"type": "string", "uniqueItems": true},
        })
    };
    let mut parameters = Vec::new();
    if path.contains("{name}") {
        parameters.push(in_path("name", format!("name of the {}", kind.kind)));
    }
    if path.contains("{namespace}") {
        parameters.push(in_path("namespace", "object name and auth scope, such as for teams and projects".to_owned()));
    }
    parameters.push(query_parameter("pretty"));
    json!({"parameters": parameters})
}

fn query_parameter(key: &str) -> Value {
    let (description, kind) = meta::parameter(key);
    let name = key.split('-').next().unwrap_or(key);
    json!({"name": name, "in": "query", "description": description, "schema": {"type": kind, "uniqueItems": true}})
}

fn operation(kind: &Publishable<'_>, route: &Route) -> Value {
    let mut operation = route.common(kind);
    let content = |model: &str, media_types: &[&str]| -> Value {
        let schema = json!({"schema": {"$ref": Dialect::V3.reference(model)}});
        media_types.iter().map(|media_type| ((*media_type).to_owned(), schema.clone())).collect::<Map<_, _>>().into()
    };
    operation.insert("parameters".to_owned(), route.query.iter().map(|key| query_parameter(key)).collect());
    if let Some(body) = &route.body {
        let mut request = Map::from_iter([("content".to_owned(), content(&body.model, body.media_types))]);
        if body.need == Need::Required {
            request.insert("required".to_owned(), Value::Bool(true));
        }
        operation.insert("requestBody".to_owned(), Value::Object(request));
    }
    let mut responses = Map::from_iter([("401".to_owned(), json!({"description": "Unauthorized"}))]);
    for (code, description) in route.codes {
        let response = json!({"description": description, "content": content(&route.answers, MEDIA_TYPES)});
        responses.insert((*code).to_owned(), response);
    }
    operation.insert("responses".to_owned(), Value::Object(responses));
    Value::Object(operation)
}
