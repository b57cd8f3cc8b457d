//! The Swagger 2.0 document of everything that is served.
//!
//! kube-aggregator holds the whole document once per APIService, so it is kept small: query parameters are shared under
//! `parameters`, but for `dryRun` and `fieldValidation`, which kubectl looks for in the operation itself.

use serde_json::{Map, Value, json};

use super::meta::{self, Scales};
use super::names::model_name;
use super::routes::{MEDIA_TYPES, Need, Route};
use super::{Dialect, Publishable, Subresource};

/// The query parameters that stand in each operation.
const INLINE: &[&str] = &["dryRun", "fieldValidation"];

/// What our shared parameters are prefixed with, so that they meet no others in the merged document.
const SHARED_PREFIX: &str = "kindsmith-";

/// The whole document, for `/openapi/v2`.
pub fn v2_document(kinds: &[Publishable<'_>]) -> Value {
    let mut paths = Map::new();
    let mut definitions = Map::new();
    let mut parameters = Map::new();
    let mut scales = Scales::Unused;
    for kind in kinds {
        if kind.scale == Subresource::Served {
            scales = Scales::Used;
        }
        let model = |name| model_name(kind.group, kind.version, name);
        definitions.insert(model(kind.kind), kind.object_schema(Dialect::V2));
        definitions.insert(model(kind.list_kind), kind.list_schema(Dialect::V2));
        for route in kind.routes() {
            let item = paths
                .entry(route.path.as_str())
                .or_insert_with(|| json!({"parameters": path_parameters(kind, &route.path, &mut parameters)}));
            let operation = operation(kind, &route, &mut parameters);
            if let Some(item) = item.as_object_mut() {
                item.insert(route.method.to_owned(), operation);
            }
        }
    }
    if !definitions.is_empty() {
        definitions.extend(meta::models(Dialect::V2, scales));
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kindsmith", "version": "v1"},
        "paths": paths,
        "definitions": definitions,
        "parameters": parameters,
    })
}

fn path_parameters(kind: &Publishable<'_>, path: &str, shared: &mut Map<String, Value>) -> Vec<Value> {
    let mut parameters = Vec::new();
    if path.contains("{name}") {
        parameters.push(in_path("name", &format!("name of the {}", kind.kind)));
    }
    if path.contains("{namespace}") {
        let namespace = in_path("namespace", "object name and auth scope, such as for teams and projects");
        parameters.push(share("namespace", namespace, shared));
    }
    parameters.push(share("pretty", query_parameter("pretty"), shared));
    parameters
}

fn in_path(name: &str, description: &str) -> Value {
    json!({
        "name": name, "in": "path", "required": true, "description": description,
        "type": "string", "uniqueItems": true,
    })
}

fn query_parameter(key: &str) -> Value {
    let (description, kind) = meta::parameter(key);
    let name = key.split('-').next().unwrap_or(key);
    json!({"name": name, "in": "query", "description": description, "type": kind, "uniqueItems": true})
}

/// Puts a parameter under the shared ones and refers to it.
fn share(key: &str, parameter: Value, shared: &mut Map<String, Value>) -> Value {
    let name = format!("{SHARED_PREFIX}{key}");
    let reference = json!({"$ref": format!("#/parameters/{name}")});
    shared.insert(name, parameter);
    reference
}

fn operation(kind: &Publishable<'_>, route: &Route, shared: &mut Map<String, Value>) -> Value {
    let mut operation = route.common(kind);
    let mut parameters = Vec::new();
    if let Some(body) = &route.body {
        let schema = json!({"$ref": Dialect::V2.reference(&body.model)});
        let mut parameter = json!({"name": "body", "in": "body", "schema": schema});
        if body.need == Need::Required {
            parameter["required"] = Value::Bool(true);
        }
        parameters.push(parameter);
    }
    parameters.extend(route.query.iter().map(|key| match query_parameter(key) {
        parameter if INLINE.contains(key) => parameter,
        parameter => share(key, parameter, shared),
    }));
    let mut responses = Map::from_iter([("401".to_owned(), json!({"description": "Unauthorized"}))]);
    for (code, description) in route.codes {
        let schema = json!({"$ref": Dialect::V2.reference(&route.answers)});
        responses.insert((*code).to_owned(), json!({"description": description, "schema": schema}));
    }
    let consumes = route.body.as_ref().map_or(MEDIA_TYPES, |body| body.media_types);
    operation.extend([
        ("consumes".to_owned(), json!(consumes)),
        ("produces".to_owned(), json!(MEDIA_TYPES)),
        ("schemes".to_owned(), json!(["https"])),
        ("parameters".to_owned(), Value::Array(parameters)),
        ("responses".to_owned(), Value::Object(responses)),
    ]);
    Value::Object(operation)
}
