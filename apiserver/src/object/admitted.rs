//! The checks that every write of an object passes, and the proof that it did.
//!
//! The store takes [`Admitted`] alone, and there is no other way to one than the checks: no verb can leave them out.

use kindsmith_schema::{
    convert::release::is_flux_finalizer,
    decode::{JSON_DEPTH_MAX, depth_within},
    kind::{Kind, KindBackend, KindVersion, Typing},
};
use kindsmith_text::print::quoted;
use serde_json::{Map, Value};

use super::{
    admit,
    decode::{self, Expected},
    metadata::{self, rules},
};
use crate::{
    encode::status::{ApiError, Named},
    storage::host::WriteTarget,
};

/// What objects of a kind are checked by.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The kind.
    pub kind: &'a Kind,
    /// The version that the object is written in.
    pub version: &'a KindVersion,
    /// What the object must be.
    pub expected: Expected<'a>,
}

/// An object that may be stored: of known fields alone, with its defaults, and valid.
#[derive(Clone, Debug)]
pub struct Admitted {
    object: Value,
    effect: Effect,
}

/// What a write changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Metadata at most, or the status.
    Metadata,
    /// The object counts one generation more.
    Generation,
}

impl Admitted {
    /// Checks a new object.
    ///
    /// # Errors
    /// 400 for values that are the platform's own, 422 with all other faults.
    pub fn new(mut object: Value, rules: Rules<'_>) -> Result<Self, ApiError> {
        admit::check_reserved(&object, rules.kind)?;
        check_depth(&object, None, rules)?;
        admit::prune(&mut object, None, rules.kind, rules.version);
        let mut errors = decode::type_faults(&object, rules.expected);
        if errors.is_empty() {
            let of_metadata = rules::on_create(&object, rules.kind);
            errors.extend(admit::validate(&object, None, of_metadata, rules.version, WriteTarget::Main).errors);
        }
        if errors.is_empty() {
            Ok(Self::pruned(object, Effect::Metadata, rules))
        } else {
            Err(ApiError::invalid(named(&object, rules), &errors))
        }
    }

    /// Checks the next state of a stored object. Returns with it what is wrong and forgiven because it was so before.
    ///
    /// The generation is compared before the object is pruned, as in kube-apiserver, which prunes the outcome of an apply
    /// only when it is read again (k8s.io/apiextensions-apiserver/pkg/registry/customresource/strategy.go,
    /// `PrepareForUpdate`). Here nothing unpruned is validated or stored.
    ///
    /// # Errors
    /// As for [`Admitted::new`].
    pub fn next(
        mut object: Value,
        stored: &Value,
        target: WriteTarget,
        rules: Rules<'_>,
    ) -> Result<(Self, Vec<String>), ApiError> {
        admit::check_reserved(&object, rules.kind)?;
        check_depth(&object, Some(stored), rules)?;
        let effect = match target {
            WriteTarget::Main if !admit::is_same_but_metadata(&object, stored) => Effect::Generation,
            WriteTarget::Main | WriteTarget::Status => Effect::Metadata,
        };
        admit::prune(&mut object, Some(stored), rules.kind, rules.version);
        let mut errors = rules::on_update(&object, stored, rules.kind);
        let mut forgiven = Vec::new();
        let faults = decode::type_faults(&object, rules.expected);
        if faults.is_empty() {
            let of_metadata = match rules.kind.typing() {
                Typing::Custom => rules::on_custom_update(&object, stored),
                Typing::BuiltIn => Vec::new(),
            };
            let verdict = admit::validate(&object, Some(stored), of_metadata, rules.version, target);
            errors.extend(verdict.errors);
            forgiven = verdict.forgiven.iter().map(ToString::to_string).collect();
        }
        errors.extend(faults);
        if errors.is_empty() {
            Ok((Self::pruned(object, effect, rules), forgiven))
        } else {
            Err(ApiError::invalid(named(&object, rules), &errors))
        }
    }

    fn pruned(mut object: Value, effect: Effect, rules: Rules<'_>) -> Self {
        // An apply may leave nulls that are no values; in a release they would undo defaults of the chart.
        rules.version.schema.drop_nulls(&mut object);
        Self { object, effect }
    }

    /// The object.
    #[must_use]
    pub fn object(&self) -> &Value {
        &self.object
    }

    /// What the write changes.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// The object, to be stored.
    #[must_use]
    pub fn into_object(self) -> Value {
        self.object
    }
}

/// Checks that an object nests no deeper than one that is sent may, whatever patches and defaults have made of it. What
/// somebody else put there already may stay.
fn check_depth(object: &Value, stored: Option<&Value>, rules: Rules<'_>) -> Result<(), ApiError> {
    let max = stored.and_then(depth).unwrap_or_default().max(JSON_DEPTH_MAX);
    if depth(object).is_some_and(|depth| depth <= max) {
        return Ok(());
    }
    Err(ApiError::BadRequest(format!(
        "the object provided nests deeper than the {JSON_DEPTH_MAX} levels that are allowed (must be of type {})",
        rules.expected.kind
    )))
}

/// How deep an object nests, without what says who owns its fields. None when it is much deeper than it may be.
fn depth(object: &Value) -> Option<usize> {
    const MEASURED_MAX: usize = 2 * JSON_DEPTH_MAX;
    let below = |value: &Value| depth_within(value, MEASURED_MAX, &mut 0);
    let metadata = |metadata: &Map<String, Value>| {
        let members = metadata.iter().filter(|(name, _)| *name != "managedFields");
        members.map(|(_, value)| below(value)).try_fold(1, |deepest: usize, depth| Some(deepest.max(1 + depth?)))
    };
    let members = object.as_object().into_iter().flatten();
    let mut depths = members.map(|(name, value)| match value {
        Value::Object(members) if name == "metadata" => metadata(members),
        value => below(value),
    });
    depths.try_fold(1, |deepest: usize, depth| Some(deepest.max(1 + depth?)))
}

/// An object as errors name it: by the kind that it says it is.
fn named(object: &Value, rules: Rules<'_>) -> Named {
    Named {
        group: rules.kind.group.clone(),
        resource: rules.kind.names.plural.clone(),
        kind: decode::kind_of(object).to_owned(),
        name: metadata::member(object, "name").to_owned(),
    }
}

/// Leaves out finalizers that Flux alone sets and the stored object does not have, so that what was saved with them can be
/// brought back: nobody would remove them again. Returns a warning for each.
#[must_use]
pub fn leave_out_flux_finalizers(object: &mut Value, stored: Option<&Value>, kind: &Kind) -> Vec<String> {
    if !matches!(kind.backend, KindBackend::Release(_)) {
        return Vec::new();
    }
    let held = stored.and_then(|stored| stored.pointer("/metadata/finalizers")).and_then(Value::as_array);
    let is_held = |finalizer: &Value| held.is_some_and(|held| held.contains(finalizer));
    let Some(finalizers) = object.pointer_mut("/metadata/finalizers").and_then(Value::as_array_mut) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    finalizers.retain(|finalizer| match finalizer.as_str() {
        Some(name) if is_flux_finalizer(name) && !is_held(finalizer) => {
            warnings
                .push(format!("metadata.finalizers: {}: left out, since Flux alone sets and removes it", quoted(name)));
            false
        }
        _ => true,
    });
    if finalizers.is_empty()
        && !warnings.is_empty()
        && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.remove("finalizers");
    }
    warnings
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm};
    use serde_json::json;

    use super::*;

    fn kind(backend: &Value) -> Kind {
        let definition = json!({
            "metadata": {"name": "cups.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
                "backend": backend}});
        DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Available).unwrap()
    }

    fn reserving() -> Kind {
        let mut kind = kind(&json!({"helmRelease": {"prefix": "cup-",
            "chartRef": {"kind": "OCIRepository", "name": "cup", "namespace": "charts"}}}));
        let KindBackend::Release(template) = &mut kind.backend else { panic!("no release") };
        template.reserved_key_prefix = Some("_".to_owned());
        kind
    }

    fn cup(spec: &Value) -> Value {
        json!({"apiVersion": "example.com/v1", "kind": "Cup", "metadata": {"name": "one", "namespace": "a",
            "resourceVersion": "1", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec})
    }

    #[test]
    fn no_object_with_reserved_values_is_admitted() {
        let kind = reserving();
        let expected = Expected { api_version: "example.com/v1", version: "v1", kind: "Cup", typing: Typing::Custom };
        let rules = Rules { kind: &kind, version: &kind.versions[0], expected };
        let (own, reserved) = (cup(&json!({"a": 1})), cup(&json!({"a": 1, "_cluster": {"host": "x"}})));
        assert!(Admitted::new(own.clone(), rules).is_ok());
        assert_eq!(Admitted::new(reserved.clone(), rules).unwrap_err().code(), 400);
        for target in [WriteTarget::Main, WriteTarget::Status] {
            assert!(Admitted::next(own.clone(), &own, target, rules).is_ok());
            assert_eq!(Admitted::next(reserved.clone(), &own, target, rules).unwrap_err().code(), 400);
        }
    }

    #[test]
    fn an_object_that_nests_too_deep_is_not_admitted() {
        let kind = kind(&json!({"store": {}}));
        let expected = Expected { api_version: "example.com/v1", version: "v1", kind: "Cup", typing: Typing::Custom };
        let rules = Rules { kind: &kind, version: &kind.versions[0], expected };
        let nested = |depth: usize| (1..depth).fold(json!({}), |inside, _| json!({"a": inside}));
        let (deepest, deeper) = (cup(&nested(JSON_DEPTH_MAX - 1)), cup(&nested(JSON_DEPTH_MAX)));
        let (too_deep, bottomless) = (cup(&nested(JSON_DEPTH_MAX + 1)), cup(&nested(3 * JSON_DEPTH_MAX)));
        for object in [&deeper, &too_deep, &bottomless] {
            let refused = Admitted::new(object.clone(), rules).unwrap_err();
            assert_eq!(refused.code(), 400, "{refused}");
            assert_eq!(Admitted::next(object.clone(), &deepest, WriteTarget::Main, rules).unwrap_err().code(), 400);
        }
        let mut owned = deepest.clone();
        owned["metadata"]["managedFields"] = json!([{"fieldsV1": nested(JSON_DEPTH_MAX)}]);
        assert!(Admitted::new(owned, rules).is_ok());
        // What was there before may stay, and grow no deeper.
        assert!(Admitted::next(deeper.clone(), &deeper, WriteTarget::Main, rules).is_ok());
        assert!(Admitted::next(too_deep, &deeper, WriteTarget::Main, rules).is_err());
    }

    #[test]
    fn a_client_adds_no_finalizer_of_flux() {
        let kind_on_releases = reserving();
        let with = |finalizers: &Value| json!({"metadata": {"name": "one", "finalizers": finalizers}});
        let left = |sent: &Value, stored: Option<&Value>, kind: &Kind| {
            let mut object = with(sent);
            let warnings = leave_out_flux_finalizers(&mut object, stored.map(with).as_ref(), kind);
            (object["metadata"]["finalizers"].clone(), warnings.len())
        };
        let flux = json!(["finalizers.fluxcd.io"]);
        let both = json!(["finalizers.fluxcd.io", "example.com/mine"]);
        assert_eq!(left(&flux, None, &kind_on_releases), (Value::Null, 1));
        assert_eq!(left(&both, None, &kind_on_releases), (json!(["example.com/mine"]), 1));
        assert_eq!(left(&both, Some(&flux), &kind_on_releases), (both.clone(), 0));
        assert_eq!(left(&json!([]), Some(&flux), &kind_on_releases), (json!([]), 0));
        assert_eq!(left(&both, None, &kind(&json!({"store": {}}))), (both.clone(), 0));
    }
}
