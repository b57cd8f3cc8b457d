//! The CustomResourceDefinition of ApplicationDefinition, for installing and for serving it ourselves.

use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{
    ApplicationDefinition, CONDITION_ACCEPTED, CONDITION_READY, CONDITION_SERVED, NEVER_OBSERVED,
    REASON_NOT_YET_OBSERVED,
};

/// Since when nobody has looked at a definition: a default is the same for all of them.
const SINCE_EVER: &str = "1970-01-01T00:00:00Z";

/// The CustomResourceDefinition of ApplicationDefinition, as JSON.
///
/// # Errors
/// None in practice: serialization of the generated type cannot fail, but the error is passed on.
pub fn custom_resource_definition() -> Result<Value, serde_json::Error> {
    let mut crd = serde_json::to_value(ApplicationDefinition::crd())?;
    if let Some(conditions) =
        crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/conditions")
    {
        // Conditions are a map by type, so that several writers can own one each.
        conditions["x-kubernetes-list-type"] = json!("map");
        conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
    }
    if let Some(scope) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/scope") {
        // As of a CustomResourceDefinition: instances could not be addressed under another scope.
        scope["x-kubernetes-validations"] = json!([{"rule": "self == oldSelf", "message": "field is immutable"}]);
    }
    if let Some(status) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status") {
        status["default"] = never_observed();
    }
    Ok(crd)
}

/// The status of a definition that no operator has looked at.
///
/// Without it a definition has no status at first, which counts as done for whoever waits by kstatus
/// (sigs.k8s.io/cli-utils/pkg/kstatus/status/generic.go): Helm, Flux, kapply. The kinds of Flux have the same generation as a
/// default, those of Gateway API such conditions.
fn never_observed() -> Value {
    let unknown = |kind: &str| {
        json!({
            "type": kind, "status": "Unknown", "reason": REASON_NOT_YET_OBSERVED, "lastTransitionTime": SINCE_EVER,
            "message": "no operator of Kindsmith has looked at the definition yet; does one run?",
        })
    };
    let conditions = [CONDITION_ACCEPTED, CONDITION_SERVED, CONDITION_READY].map(unknown);
    json!({"observedGeneration": NEVER_OBSERVED, "conditions": conditions})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_is_a_cluster_scoped_crd_with_a_status() {
        let crd = custom_resource_definition().unwrap();
        assert_eq!(crd["metadata"]["name"], "applicationdefinitions.kindsmith.dev");
        assert_eq!(crd["spec"]["scope"], "Cluster");
        assert_eq!(crd["spec"]["names"]["shortNames"], json!(["appdef"]));
        let version = &crd["spec"]["versions"][0];
        assert_eq!(version["subresources"]["status"], json!({}));
        let schema = version.pointer("/schema/openAPIV3Schema/properties/spec/properties/versions/items/properties/schema/properties/openAPIV3Schema").unwrap();
        assert_eq!(schema["x-kubernetes-preserve-unknown-fields"], true);
        let scope = version.pointer("/schema/openAPIV3Schema/properties/spec/properties/scope").unwrap();
        assert_eq!(scope["x-kubernetes-validations"][0]["message"], "field is immutable");
        assert_eq!(
            version
                .pointer("/schema/openAPIV3Schema/properties/status/properties/conditions/x-kubernetes-list-map-keys")
                .unwrap(),
            &json!(["type"])
        );
        let default = version.pointer("/schema/openAPIV3Schema/properties/status/default").unwrap();
        assert_eq!(default["observedGeneration"], -1);
        let status: crate::ApplicationDefinitionStatus = serde_json::from_value(default.clone()).unwrap();
        let told: Vec<String> = status.conditions.iter().map(|it| format!("{}={}", it.type_, it.status)).collect();
        assert_eq!(told, ["Accepted=Unknown", "Served=Unknown", "Ready=Unknown"]);
    }
}
