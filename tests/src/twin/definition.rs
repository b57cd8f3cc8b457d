//! The kind of a twin test, as the two sides define it.

use serde_json::{Value, json};

mod change;
mod rich;

pub use change::{CHANGES, Change};

/// The domain of our groups, and that of theirs: equally long, as keys of labels on a release are shorter by the group.
const DOMAINS: [&str; 2] = ["example.com", "example.org"];

/// Whose definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// An ApplicationDefinition of Kindsmith.
    Ours,
    /// A CustomResourceDefinition.
    Theirs,
}

/// A kind that both sides serve.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The first label of the group, which tells this kind from others on the same control plane.
    pub label: String,
    /// What keeps our objects.
    pub backend: Backend,
    /// What schemas it has.
    pub schemas: Schemas,
}

impl Definition {
    /// The group on one side.
    #[must_use]
    pub fn group(&self, whose: Whose) -> String {
        let domain = DOMAINS[usize::from(whose == Whose::Theirs)];
        format!("{}.{domain}", self.label)
    }

    /// The object that defines the kind at first.
    #[must_use]
    pub fn manifest(&self, whose: Whose) -> Value {
        self.manifest_in(whose, &[], None)
    }

    /// The object that defines the kind after changes, each to what it was at first. A marker becomes a column of `v1`, by
    /// which it is seen that this definition is served.
    #[must_use]
    pub fn manifest_in(&self, whose: Whose, changes: &[Change], marker: Option<&str>) -> Value {
        let group = self.group(whose);
        let names = json!({"kind": "Twin", "plural": "twins", "singular": "twin", "listKind": "TwinList"});
        let mut version = version();
        if self.backend == Backend::Release {
            // The status of a release is Flux', so that nobody but Flux writes it.
            version["schema"]["openAPIV3Schema"]["properties"]["status"] =
                json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        }
        let mut versions = match self.schemas {
            Schemas::One => vec![version],
            Schemas::Two => two_versions(version),
            Schemas::Rich => {
                let spec = rich::spec();
                version["schema"]["openAPIV3Schema"]["properties"]["spec"] = spec;
                vec![version]
            }
            Schemas::Changing => {
                let mut versions = two_versions(version);
                change::prepare(&mut versions);
                for change in changes {
                    change.make(&mut versions);
                }
                versions
            }
        };
        if let (Some(marker), Some(columns)) = (marker, versions[0]["additionalPrinterColumns"].as_array_mut()) {
            columns.push(json!({"name": marker, "type": "string", "jsonPath": ".spec.none"}));
        }
        if whose == Whose::Ours && self.backend == Backend::Release {
            for subresources in versions.iter_mut().filter_map(|version| version["subresources"].as_object_mut()) {
                subresources.remove("status");
            }
        }
        let mut spec = json!({"group": group, "scope": "Namespaced", "names": names, "versions": versions});
        let (api_version, kind) = match whose {
            Whose::Ours => ("kindsmith.dev/v1alpha1", "ApplicationDefinition"),
            Whose::Theirs => ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        };
        if whose == Whose::Ours {
            let label = &self.label;
            spec["backend"] = match self.backend {
                Backend::Store => json!({"store": {}}),
                Backend::Release => json!({"helmRelease": {
                    "chartRef": {"kind": "OCIRepository", "name": label, "namespace": "charts"}, "prefix": format!("{label}-")}}),
            };
        }
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": format!("twins.{group}")}, "spec": spec})
    }
}

/// What keeps the objects of our kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The embedded store.
    Store,
    /// HelmReleases, in the embedded store.
    Release,
}

fn version() -> Value {
    json!({
        "name": "v1", "served": true, "storage": true,
        "subresources": {"status": {}, "scale": {
            "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.count", "labelSelectorPath": ".status.phase"}},
        "selectableFields": [{"jsonPath": ".spec.mode"}],
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
        ],
        "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {
            "spec": {"type": "object", "properties": {
                "size": {"type": "integer", "minimum": 0, "maximum": 10, "default": 1},
                "mode": {"type": "string", "enum": ["fast", "safe"]},
                "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "maxItems": 3, "items": {"type": "object", "required": ["name"], "properties": {
                        "name": {"type": "string"}, "number": {"type": "integer", "format": "int32"},
                        "protocol": {"type": "string", "default": "TCP"}}}},
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "settings": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "nullable": true}}},
            "status": {"type": "object", "properties": {"phase": {"type": "string"}, "count": {"type": "integer"}}}
        }}}
    })
}

/// What schemas a kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemas {
    /// One of `v1` alone.
    One,
    /// One of `v1`, which is stored, and one of `v1beta1`; each knows fields that the other does not.
    Two,
    /// One of `v1` alone, with the features that are rare.
    Rich,
    /// As [`Schemas::Two`], and one of `v2`, which is not served at first; they change between requests.
    Changing,
}

/// The version, and one whose schema differs.
fn two_versions(mut stored: Value) -> Vec<Value> {
    let text = json!({"type": "string"});
    let with_default = |default: &str| json!({"type": "string", "default": default});
    let closed = |fields: Value| json!({"type": "object", "properties": fields});
    let open =
        |fields: Value| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": fields});
    let mut other = stored.clone();
    other["name"] = json!("v1beta1");
    other["storage"] = json!(false);
    let spec = "/schema/openAPIV3Schema/properties/spec/properties";
    let own = json!({
        "new": text, "late": with_default("L"), "early": text, "loose": closed(json!({"a": text})),
        "open": open(json!({
            "tls": closed(json!({"a": text})),
            "list": {"type": "array", "items": closed(json!({"a": text}))},
            "map": {"type": "object", "additionalProperties": closed(json!({"a": text, "late": with_default("L")}))}})),
    });
    let others = json!({
        "old": text, "late": text, "early": with_default("E"), "loose": open(json!({"a": text})),
        "open": open(json!({
            "tls": closed(json!({"a": text, "b": with_default("B")})),
            "map": {"type": "object", "additionalProperties": closed(json!({"a": text}))}})),
    });
    for (version, fields) in [(&mut stored, own), (&mut other, others)] {
        let fields = fields.as_object().cloned().unwrap_or_default();
        if let Some(known) = version.pointer_mut(spec).and_then(Value::as_object_mut) {
            known.extend(fields);
        }
    }
    if let Some(port) = other.pointer_mut(&format!("{spec}/ports/items/properties")) {
        port["weight"] = json!({"type": "integer", "default": 3});
    }
    other["additionalPrinterColumns"] = json!([{"name": "Old", "type": "string", "jsonPath": ".spec.old"}]);
    other["selectableFields"] = json!([{"jsonPath": ".spec.old"}, {"jsonPath": ".spec.mode"}]);
    vec![stored, other]
}
