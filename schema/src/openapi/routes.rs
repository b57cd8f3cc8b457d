//! The operations of a kind: paths, parameters, bodies and answers, in neither dialect
//! (`generateBuilder`, `buildRoute` and `descriptionFor` in `controller/openapi/builder/builder.go`).

use serde_json::{Map, Value, json};

use super::names::{article, camel_case, model_name, operation_id, tag};
use super::{BUILT_IN_PATCH_MEDIA_TYPES, PATCH_MEDIA_TYPES, Publishable, Scope, Subresource, meta};
use crate::kind::Typing;

/// What bodies and answers are encoded in, PATCH aside.
pub(super) const MEDIA_TYPES: &[&str] = &["application/json", "application/yaml"];

const LIST_PARAMETERS: &[&str] = &[
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
];
const GET_PARAMETERS: &[&str] = &["resourceVersion"];
const WRITE_PARAMETERS: &[&str] = &["dryRun", "fieldManager", "fieldValidation"];
const PATCH_PARAMETERS: &[&str] = &["dryRun", "fieldManager-patch", "fieldValidation", "force"];
const DELETE_PARAMETERS: &[&str] = &[
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
];

/// One operation.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) path: String,
    pub(super) method: &'static str,
    /// The verb of the API: `x-kubernetes-action`.
    pub(super) action: &'static str,
    pub(super) id: String,
    pub(super) description: String,
    /// The query parameters, by their keys in `parameters.json`.
    pub(super) query: &'static [&'static str],
    pub(super) body: Option<Body>,
    /// The model of a success.
    pub(super) answers: String,
    /// The codes of a success.
    pub(super) codes: &'static [(&'static str, &'static str)],
}

/// The body of a request.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) model: String,
    pub(super) media_types: &'static [&'static str],
    pub(super) need: Need,
}

/// Whether a body must be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

/// A verb as it is documented.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    List,
    Create,
    DeleteCollection,
    Read,
    Replace,
    Delete,
    Patch,
}

impl Route {
    /// What every operation carries whatever the dialect.
    pub(super) fn common(&self, kind: &Publishable<'_>) -> Map<String, Value> {
        Map::from_iter([
            ("description".to_owned(), Value::from(self.description.as_str())),
            ("operationId".to_owned(), Value::from(self.id.as_str())),
            ("tags".to_owned(), json!([tag(kind.group, kind.version)])),
            ("x-kubernetes-action".to_owned(), Value::from(self.action)),
            ("x-kubernetes-group-version-kind".to_owned(), kind.gvk(kind.kind)),
        ])
    }
}

impl Publishable<'_> {
    /// The group-version-kind object of one of its kinds.
    pub(super) fn gvk(&self, kind: &str) -> Value {
        json!({"group": self.group, "version": self.version, "kind": kind})
    }

    /// All operations.
    pub(super) fn routes(&self) -> Vec<Route> {
        let base = match self.typing() {
            Typing::BuiltIn => format!("/api/{}", self.version),
            Typing::Custom => format!("/apis/{}/{}", self.group, self.version),
        };
        let everywhere = format!("{base}/{}", self.plural);
        let mut routes = Vec::new();
        let collection = match self.scope {
            Scope::Cluster => everywhere,
            Scope::Namespaced => {
                let mut route = self.route(Verb::List, everywhere, "");
                route.id = operation_id("list", self.group, self.version, &format!("{}ForAllNamespaces", self.kind));
                routes.push(route);
                format!("{base}/namespaces/{{namespace}}/{}", self.plural)
            }
        };
        let object = format!("{collection}/{{name}}");
        routes.extend([Verb::List, Verb::Create].map(|v| self.route(v, collection.clone(), "")));
        // Namespaces, the one kind that is built in, go one by one.
        if self.typing() == Typing::Custom {
            routes.push(self.route(Verb::DeleteCollection, collection, ""));
        }
        routes
            .extend([Verb::Read, Verb::Replace, Verb::Delete, Verb::Patch].map(|v| self.route(v, object.clone(), "")));
        for (served, name) in [(self.status, "status"), (self.scale, "scale")] {
            if served == Subresource::Served {
                let path = format!("{object}/{name}");
                routes.extend([Verb::Read, Verb::Replace, Verb::Patch].map(|v| self.route(v, path.clone(), name)));
            }
        }
        routes
    }

    fn route(&self, verb: Verb, path: String, subresource: &str) -> Route {
        let model = |kind| model_name(self.group, self.version, kind);
        let subject = if subresource == "scale" { meta::SCALE.to_owned() } else { model(self.kind) };
        let body = |model: String| Some(Body { model, media_types: MEDIA_TYPES, need: Need::Required });
        let (method, action, id_verb, id_rest) = match verb {
            Verb::List => ("get", "list", "list", ""),
            Verb::Create => ("post", "post", "create", ""),
            Verb::DeleteCollection => ("delete", "deletecollection", "delete", "Collection"),
            Verb::Read => ("get", "get", "read", ""),
            Verb::Replace => ("put", "put", "replace", ""),
            Verb::Delete => ("delete", "delete", "delete", ""),
            Verb::Patch => ("patch", "patch", "patch", ""),
        };
        let (query, body) = match verb {
            Verb::List | Verb::DeleteCollection => (LIST_PARAMETERS, None),
            Verb::Create | Verb::Replace => (WRITE_PARAMETERS, body(subject.clone())),
            Verb::Read => (GET_PARAMETERS, None),
            Verb::Delete => {
                let options = meta::DELETE_OPTIONS.to_owned();
                (DELETE_PARAMETERS, Some(Body { model: options, media_types: MEDIA_TYPES, need: Need::Optional }))
            }
            Verb::Patch => {
                let patch = meta::PATCH.to_owned();
                let media_types = match self.typing() {
                    Typing::BuiltIn => BUILT_IN_PATCH_MEDIA_TYPES,
                    Typing::Custom => PATCH_MEDIA_TYPES,
                };
                (PATCH_PARAMETERS, Some(Body { model: patch, media_types, need: Need::Required }))
            }
        };
        let answers = match verb {
            Verb::List => model(self.list_kind),
            Verb::Delete | Verb::DeleteCollection => meta::STATUS.to_owned(),
            Verb::Create | Verb::Read | Verb::Replace | Verb::Patch => subject,
        };
        let codes: &[_] = match verb {
            Verb::Create => &[("200", "OK"), ("201", "Created"), ("202", "Accepted")],
            Verb::Replace => &[("200", "OK"), ("201", "Created")],
            Verb::Delete => &[("200", "OK"), ("202", "Accepted")],
            Verb::List | Verb::DeleteCollection | Verb::Read | Verb::Patch => &[("200", "OK")],
        };
        let namespaced = match self.scope {
            Scope::Namespaced => "Namespaced",
            Scope::Cluster => "",
        };
        let title = camel_case(subresource, super::names::FirstLetter::Upper);
        let rest = format!("{id_rest}{namespaced}{}{title}", self.kind);
        let id = operation_id(id_verb, self.group, self.version, &rest);
        Route { path, method, action, id, description: self.describe(verb, subresource), query, body, answers, codes }
    }

    fn describe(&self, verb: Verb, subresource: &str) -> String {
        let of = if subresource.is_empty() { String::new() } else { format!(" {subresource} of") };
        let kind = self.kind;
        match verb {
            Verb::List => format!("list{of} objects of kind {kind}"),
            Verb::Create => format!("create{of}{}{kind}", article(kind)),
            Verb::DeleteCollection => format!("delete collection of {kind}"),
            Verb::Read => format!("read{of} the specified {kind}"),
            Verb::Replace => format!("replace{of} the specified {kind}"),
            Verb::Delete => format!("delete{of}{}{kind}", article(kind)),
            Verb::Patch => format!("partially update{of} the specified {kind}"),
        }
    }
}
