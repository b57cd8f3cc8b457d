//! Authorization checks (k8s.io/apiserver/pkg/cel/library/authz.go).
//!
//! They are declared, as in every environment of Kubernetes, but rules of definitions have no authorizer to call them
//! on.

use crate::overload::Overload;
use crate::types::Type;
use crate::value::EvalError;

const AUTHORIZER: Type = Type::Opaque("kubernetes.authorization.Authorizer");
const PATH_CHECK: Type = Type::Opaque("kubernetes.authorization.PathCheck");
const GROUP_CHECK: Type = Type::Opaque("kubernetes.authorization.GroupCheck");
const RESOURCE_CHECK: Type = Type::Opaque("kubernetes.authorization.ResourceCheck");
const DECISION: Type = Type::Opaque("kubernetes.authorization.Decision");

/// The functions of both libraries.
pub(crate) fn overloads() -> Vec<Overload> {
    let declare = |function, id, params, result| {
        Overload::receiver(function, id, params, result, Some(|_| Err(EvalError::no_overload())))
    };
    let on = |target: Type| vec![target, Type::String];
    vec![
        declare("path", "authorizer_path", on(AUTHORIZER), PATH_CHECK),
        declare("group", "authorizer_group", on(AUTHORIZER), GROUP_CHECK),
        declare(
            "serviceAccount",
            "authorizer_serviceaccount",
            vec![AUTHORIZER, Type::String, Type::String],
            AUTHORIZER,
        ),
        declare("resource", "groupcheck_resource", on(GROUP_CHECK), RESOURCE_CHECK),
        declare("subresource", "resourcecheck_subresource", on(RESOURCE_CHECK), RESOURCE_CHECK),
        declare("namespace", "resourcecheck_namespace", on(RESOURCE_CHECK), RESOURCE_CHECK),
        declare("name", "resourcecheck_name", on(RESOURCE_CHECK), RESOURCE_CHECK),
        declare("check", "pathcheck_check", on(PATH_CHECK), DECISION),
        declare("check", "resourcecheck_check", on(RESOURCE_CHECK), DECISION),
        declare("errored", "decision_errored", vec![DECISION], Type::Bool),
        declare("error", "decision_error", vec![DECISION], Type::String),
        declare("allowed", "decision_allowed", vec![DECISION], Type::Bool),
        declare("reason", "decision_reason", vec![DECISION], Type::String),
        declare("fieldSelector", "authorizer_fieldselector", on(RESOURCE_CHECK), RESOURCE_CHECK),
        declare("labelSelector", "authorizer_labelselector", on(RESOURCE_CHECK), RESOURCE_CHECK),
    ]
}
