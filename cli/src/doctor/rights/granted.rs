//! The rights that the manifests grant to each account, and those that it takes to apply them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::manifests;

/// What an installation consists of, as it is rendered without any settings.
const MANIFESTS: [&str; 5] = [
    include_str!("../../../../deploy/manifests/00-namespace.yaml"),
    include_str!("../../../../deploy/manifests/20-operator-rbac.yaml"),
    include_str!("../../../../deploy/manifests/21-apiserver-rbac.yaml"),
    include_str!("../../../../deploy/manifests/30-operator.yaml"),
    include_str!("../../../../deploy/manifests/31-apiserver.yaml"),
];

/// The namespace that the manifests name.
const NAMESPACE: &str = "kindsmith-system";

/// A group that is read only where definitions of that form are served.
const OTHER_FORM: &str = "cozystack.io";

/// What roles of Kubernetes' own grant that are bound
/// (k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy).
const DELEGATOR: &str = "system:auth-delegator";
const AUTHENTICATION_READER: &str = "extension-apiserver-authentication-reader";

/// A right, of one verb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Right {
    /// The verb.
    pub verb: String,
    what: What,
    namespace: Option<String>,
}

/// What a right is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Resource { group: String, resource: String, name: Option<String> },
    Path(String),
}

impl Right {
    /// Returns a right in the whole cluster; a subresource stands behind a slash.
    pub(super) fn of_resource(verb: &str, group: &str, resource: &str) -> Self {
        let what = What::Resource { group: group.to_owned(), resource: resource.to_owned(), name: None };
        Self { verb: verb.to_owned(), what, namespace: None }
    }

    fn within(mut self, namespace: Option<&str>) -> Self {
        self.namespace = namespace.map(str::to_owned);
        self
    }

    fn named(mut self, wanted: Option<&str>) -> Self {
        if let What::Resource { name, .. } = &mut self.what {
            *name = wanted.map(str::to_owned);
        }
        self
    }

    /// Returns the object of a sentence: `secrets kindsmith-ca in kindsmith-system`. Names that differ by a number are told as one.
    pub(super) fn object(&self) -> String {
        let what = match &self.what {
            What::Path(path) => path.clone(),
            What::Resource { group, resource, name } => {
                let resource = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
                name.as_deref().map(|name| format!("{resource} {}", unnumbered(name))).unwrap_or(resource)
            }
        };
        self.namespace.as_ref().map(|namespace| format!("{what} in {namespace}")).unwrap_or(what)
    }

    /// Returns the spec of a review of it, without who asks.
    pub(super) fn attributes(&self) -> Value {
        match &self.what {
            What::Path(path) => json!({"nonResourceAttributes": {"path": path, "verb": self.verb}}),
            What::Resource { group, resource, name } => {
                let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                let mut attributes = json!({"verb": self.verb, "group": group, "resource": resource});
                let optional = [
                    ("subresource", Some(subresource)),
                    ("name", name.as_deref()),
                    ("namespace", self.namespace.as_deref()),
                ];
                for (member, value) in optional {
                    if let Some(value) = value.filter(|value| !value.is_empty()) {
                        attributes[member] = value.into();
                    }
                }
                json!({"resourceAttributes": attributes})
            }
        }
    }
}

/// A name with an N for the number that it ends with.
fn unnumbered(name: &str) -> String {
    let base = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if base.len() == name.len() { name.to_owned() } else { format!("{base}N") }
}

fn objects() -> Vec<Value> {
    MANIFESTS.iter().flat_map(|text| manifests::parse(text).unwrap_or_default()).collect()
}

/// Returns the rights of each account in that namespace.
pub(super) fn of_manifests(namespace: &str) -> BTreeMap<String, Vec<Right>> {
    let objects = objects();
    let mut granted = BTreeMap::<String, Vec<Right>>::new();
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    for binding in objects.iter().filter(|it| it["roleRef"].is_object()) {
        let placed = binding["metadata"]["namespace"].as_str();
        let placed = placed.map(|place| if place == NAMESPACE { namespace } else { place });
        let role = &binding["roleRef"];
        let is_role = |it: &&Value| {
            let of_namespace =
                role["kind"] != "Role" || it["metadata"]["namespace"] == binding["metadata"]["namespace"];
            it["kind"] == role["kind"] && it["metadata"]["name"] == role["name"] && of_namespace
        };
        let mut rights = Vec::new();
        for rule in objects.iter().find(is_role).and_then(|it| it["rules"].as_array()).into_iter().flatten() {
            for verb in texts(&rule["verbs"]) {
                let paths = texts(&rule["nonResourceURLs"]).into_iter();
                rights.extend(paths.map(|path| Right { verb: verb.clone(), what: What::Path(path), namespace: None }));
                let mut names = texts(&rule["resourceNames"]);
                // The operator looks at its own namespace, by name.
                names.iter_mut().filter(|name| *name == NAMESPACE).for_each(|name| namespace.clone_into(name));
                let names: Vec<Option<&str>> =
                    if names.is_empty() { vec![None] } else { names.iter().map(|name| Some(name.as_str())).collect() };
                for group in texts(&rule["apiGroups"]).iter().filter(|group| *group != OTHER_FORM) {
                    for resource in texts(&rule["resources"]) {
                        let right = Right::of_resource(&verb, group, &resource).within(placed);
                        rights.extend(names.iter().map(|name| right.clone().named(*name)));
                    }
                }
            }
        }
        rights.extend(of_kubernetes(role["name"].as_str().unwrap_or_default(), placed));
        for subject in binding["subjects"].as_array().into_iter().flatten() {
            let Some(account) = subject["name"].as_str().filter(|_| subject["kind"] == "ServiceAccount") else {
                continue;
            };
            granted.entry(account.to_owned()).or_default().extend(rights.iter().cloned());
        }
    }
    granted
}

fn of_kubernetes(role: &str, namespace: Option<&str>) -> Vec<Right> {
    match role {
        DELEGATOR => vec![
            Right::of_resource("create", "authentication.k8s.io", "tokenreviews"),
            Right::of_resource("create", "authorization.k8s.io", "subjectaccessreviews"),
        ],
        AUTHENTICATION_READER => ["get", "list", "watch"]
            .into_iter()
            .map(|verb| {
                let right = Right::of_resource(verb, "", "configmaps").within(namespace);
                right.named(Some("extension-apiserver-authentication"))
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Returns the rights that it takes to install into that namespace, to upgrade, and to uninstall.
pub(super) fn installed(namespace: &str) -> Vec<Right> {
    let objects = objects();
    let mut wanted: Vec<(String, String, Option<String>)> = objects
        .iter()
        .filter_map(|object| {
            let group = object["apiVersion"].as_str()?.rsplit_once('/').map_or("", |(group, _)| group);
            let placed = object["metadata"]["namespace"].as_str();
            let placed = placed.map(|place| if place == NAMESPACE { namespace } else { place });
            // All of these kinds have a regular plural.
            let plural = format!("{}s", object["kind"].as_str()?.to_lowercase());
            Some((group.to_owned(), plural, placed.map(str::to_owned)))
        })
        .collect();
    wanted.push(("apiextensions.k8s.io".to_owned(), "customresourcedefinitions".to_owned(), None));
    // The Job that runs before Helm deletes the release, and what Helm remembers of it.
    wanted.push(("batch".to_owned(), "jobs".to_owned(), Some(namespace.to_owned())));
    wanted.push((String::new(), "secrets".to_owned(), Some(namespace.to_owned())));
    wanted.sort();
    wanted.dedup();
    let verbs = ["create", "get", "patch", "delete"];
    wanted
        .iter()
        .flat_map(|(group, plural, placed)| {
            verbs.map(|verb| Right::of_resource(verb, group, plural).within(placed.as_deref()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rights: &[Right]) -> Vec<String> {
        rights.iter().map(|right| format!("{} {}", right.verb, right.object())).collect()
    }

    #[test]
    fn each_right_of_the_manifests_is_asked_for() {
        let granted = of_manifests("elsewhere");
        let accounts: Vec<&str> = granted.keys().map(String::as_str).collect();
        assert_eq!(accounts, ["kindsmith-apiserver", "kindsmith-operator"]);
        let operator = told(&granted["kindsmith-operator"]);
        for wanted in [
            "escalate clusterroles.rbac.authorization.k8s.io",
            "patch applicationdefinitions/status.kindsmith.dev",
            "get /kindsmith/registry",
            "update secrets kindsmith-ca in elsewhere",
            "create events.events.k8s.io in default",
            "create subjectaccessreviews.authorization.k8s.io",
        ] {
            assert!(operator.iter().any(|it| it == wanted), "{wanted} is not in {operator:#?}");
        }
        let apiserver = told(&granted["kindsmith-apiserver"]);
        for wanted in [
            "patch leases.coordination.k8s.io kindsmith-apiserver-N in elsewhere",
            "watch configmaps extension-apiserver-authentication in kube-system",
        ] {
            assert!(apiserver.iter().any(|it| it == wanted), "{wanted} is not in {apiserver:#?}");
        }
        let all = [operator, apiserver].concat();
        assert!(!all.iter().any(|it| it.contains(OTHER_FORM) || it.contains(NAMESPACE)), "{all:#?}");
    }

    #[test]
    fn an_installation_consists_of_all_that_the_manifests_have() {
        let wanted = told(&installed("elsewhere"));
        for part in [
            "create namespaces",
            "patch clusterroles.rbac.authorization.k8s.io",
            "create rolebindings.rbac.authorization.k8s.io in kube-system",
            "create deployments.apps in elsewhere",
            "create poddisruptionbudgets.policy in elsewhere",
            "create customresourcedefinitions.apiextensions.k8s.io",
        ] {
            assert!(wanted.iter().any(|it| it == part), "{part} is not in {wanted:#?}");
        }
    }

    #[test]
    fn a_review_names_subresource_name_and_namespace_where_there_are_any() {
        let right = Right::of_resource("patch", "a.b", "c/status").within(Some("n")).named(Some("x"));
        assert_eq!(
            right.attributes(),
            json!({"resourceAttributes": {"verb": "patch", "group": "a.b", "resource": "c", "subresource": "status",
                "name": "x", "namespace": "n"}})
        );
        let path = Right { verb: "get".to_owned(), what: What::Path("/x".to_owned()), namespace: None };
        assert_eq!(path.attributes(), json!({"nonResourceAttributes": {"path": "/x", "verb": "get"}}));
    }
}
