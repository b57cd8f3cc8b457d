//! The options of delete and deletecollection: the body's, or without a body the query's.
//!
//! Follows apimachinery pkg/apis/meta/v1/{conversion,validation/validation}.go and apiserver
//! pkg/endpoints/handlers/delete.go.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::{Cause, OptionsError, check};
use super::go_text::{self, is_true, quote};
use super::query::Query;
use super::write_options::DryRun;

/// What becomes of the objects that belong to a deleted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They stay.
    Orphan,
    /// They follow after it.
    Background,
    /// They go before it.
    Foreground,
}

/// How a delete is answered that has to wait for finalizers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deferred {
    /// 200.
    #[default]
    Ok,
    /// 202: the client said `orphanDependents=false`, whose old users expect it.
    Accepted,
}

/// What becomes of an object that the store cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unreadable {
    /// It stays.
    #[default]
    Stays,
    /// It is removed without a look at finalizers: `ignoreStoreReadErrorWithClusterBreakingPotential`. What can be read is
    /// not to be deleted so.
    Removed,
}

/// What a delete asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteOptions {
    /// Precondition: the object's uid.
    pub uid: Option<String>,
    /// Precondition: the object's resourceVersion.
    pub resource_version: Option<String>,
    /// What becomes of dependents; absent means that the object's finalizers and the kind's default decide.
    pub propagation: Option<Propagation>,
    /// Whether it is only tried.
    pub dry_run: DryRun,
    /// How long the object may take to end.
    pub grace_period_seconds: Option<i64>,
    /// How a delete that must wait is answered.
    pub deferred: Deferred,
    /// Whether the delete is for an object that cannot be read.
    pub unreadable: Unreadable,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    kind: Option<String>,
    api_version: Option<String>,
    grace_period_seconds: Option<i64>,
    preconditions: Option<Map<String, Value>>,
    orphan_dependents: Option<bool>,
    propagation_policy: Option<String>,
    dry_run: Option<Vec<String>>,
    ignore_store_read_error_with_cluster_breaking_potential: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

/// What the client says, before any rule is applied.
#[derive(Default)]
struct Decoded {
    wire: Wire,
    preconditions: Preconditions,
}

impl DeleteOptions {
    /// Checks that the options are those of a deletecollection (k8s.io/apiserver/pkg/endpoints/handlers/delete.go, DeleteCollection).
    ///
    /// # Errors
    /// 422 when they are about an object that cannot be read.
    pub fn check_for_collection(&self) -> Result<(), OptionsError> {
        let refused = "is not allowed with DELETECOLLECTION, try again after removing the option";
        match self.unreadable {
            Unreadable::Stays => Ok(()),
            Unreadable::Removed => check("DeleteOptions", vec![unreadable_cause(refused)]),
        }
    }

    /// Reads the body, which is JSON (the caller has converted other formats), or the query if there is no body.
    pub fn parse(query: Option<&str>, body: &[u8]) -> Result<Self, OptionsError> {
        let decoded = if body.is_empty() { from_query(&Query::parse(query)?)? } else { from_body(body)? };
        let Decoded { wire, preconditions } = decoded;
        check("DeleteOptions", causes(&wire))?;
        let propagation = match wire.propagation_policy.as_deref() {
            Some(policy) => propagation(policy),
            None => wire.orphan_dependents.map(|orphan| match orphan {
                true => Propagation::Orphan,
                false => Propagation::Background,
            }),
        };
        Ok(Self {
            uid: preconditions.uid,
            resource_version: preconditions.resource_version,
            propagation,
            dry_run: if wire.dry_run.is_some_and(|values| !values.is_empty()) { DryRun::All } else { DryRun::No },
            grace_period_seconds: wire.grace_period_seconds,
            deferred: if wire.orphan_dependents == Some(false) { Deferred::Accepted } else { Deferred::Ok },
            unreadable: match wire.ignore_store_read_error_with_cluster_breaking_potential {
                Some(true) => Unreadable::Removed,
                Some(false) | None => Unreadable::Stays,
            },
        })
    }
}

fn from_body(body: &[u8]) -> Result<Decoded, OptionsError> {
    let malformed = |error: serde_json::Error| OptionsError::BadRequest(error.to_string());
    // Objects are read as maps first: serde would also take a list of a struct's fields.
    let object: Option<Map<String, Value>> = serde_json::from_slice(body).map_err(malformed)?;
    let wire: Wire = serde_json::from_value(Value::Object(object.unwrap_or_default())).map_err(malformed)?;
    let preconditions = wire.preconditions.clone().unwrap_or_default();
    let preconditions = serde_json::from_value(Value::Object(preconditions)).map_err(malformed)?;
    match wire.kind.as_deref() {
        None | Some("" | "DeleteOptions") => Ok(Decoded { wire, preconditions }),
        Some(kind) => {
            let version = wire.api_version.as_deref().unwrap_or_default();
            Err(OptionsError::BadRequest(match version {
                "" | "v1" | "meta.k8s.io/v1" => "decoded object cannot be converted to DeleteOptions".to_owned(),
                _ => format!(
                    "no kind {} is registered for version {} in scheme \"pkg/runtime/scheme.go:111\"",
                    quote(kind),
                    quote(version)
                ),
            }))
        }
    }
}

fn from_query(query: &Query<'_>) -> Result<Decoded, OptionsError> {
    let owned = |name: &str| query.filled(name).map(str::to_owned);
    let grace = query.first("gracePeriodSeconds").map(go_text::parse_int).transpose();
    let wire = Wire {
        grace_period_seconds: grace.map_err(OptionsError::BadRequest)?,
        orphan_dependents: query.first("orphanDependents").map(is_true),
        propagation_policy: query.first("propagationPolicy").map(str::to_owned),
        dry_run: Some(query.all("dryRun").map(str::to_owned).collect()),
        ignore_store_read_error_with_cluster_breaking_potential: query.first(UNREADABLE).map(is_true),
        ..Wire::default()
    };
    let preconditions = Preconditions { uid: owned("uid"), resource_version: owned("resourceVersion") };
    Ok(Decoded { wire, preconditions })
}

fn propagation(policy: &str) -> Option<Propagation> {
    match policy {
        "Orphan" => Some(Propagation::Orphan),
        "Background" => Some(Propagation::Background),
        "Foreground" => Some(Propagation::Foreground),
        _ => None,
    }
}

fn causes(wire: &Wire) -> Vec<Cause> {
    const POLICY: &str = "propagationPolicy";
    let mut causes = Vec::new();
    if let Some(policy) = &wire.propagation_policy {
        if wire.orphan_dependents.is_some() {
            causes.push(Cause::invalid(POLICY, policy, "orphanDependents and deletionPropagation cannot be both set"));
        }
        if propagation(policy).is_none() {
            let supported = ["Foreground", "Background", "Orphan", "nil"];
            causes.push(Cause::not_supported(POLICY, &go_text::json(policy), &supported));
        }
    }
    let dry_run: Vec<&str> = wire.dry_run.iter().flatten().map(String::as_str).collect();
    causes.extend(DryRun::parse(&dry_run).err());
    if wire.ignore_store_read_error_with_cluster_breaking_potential == Some(true) {
        let others = [
            ("propagationPolicy", wire.propagation_policy.is_some()),
            ("orphanDependents", wire.orphan_dependents.is_some()),
            ("gracePeriodSeconds", wire.grace_period_seconds.is_some()),
            ("preconditions", wire.preconditions.is_some()),
        ];
        let beside = others.into_iter().filter(|(_, is_set)| *is_set);
        causes.extend(beside.map(|(other, _)| unreadable_cause(&format!("cannot be set together with .{other}"))));
    }
    causes
}

/// The option with which an object that the store cannot read is removed.
const UNREADABLE: &str = "ignoreStoreReadErrorWithClusterBreakingPotential";

fn unreadable_cause(detail: &str) -> Cause {
    Cause::invalid_value(UNREADABLE, "true", detail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn without_anything_the_kind_decides() {
        assert_eq!(DeleteOptions::parse(None, b""), Ok(DeleteOptions::default()));
        assert_eq!(DeleteOptions::parse(None, b"null"), Ok(DeleteOptions::default()));
    }

    #[test]
    fn the_body_wins_over_the_query() {
        let body = br#"{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Foreground","dryRun":["All"],
            "preconditions":{"uid":"u","resourceVersion":"5"},"gracePeriodSeconds":0,"other":1}"#;
        let options = DeleteOptions::parse(Some("propagationPolicy=Orphan&gracePeriodSeconds=x"), body).unwrap();
        let expected = DeleteOptions {
            uid: Some("u".to_owned()),
            resource_version: Some("5".to_owned()),
            propagation: Some(Propagation::Foreground),
            dry_run: DryRun::All,
            grace_period_seconds: Some(0),
            deferred: Deferred::Ok,
            unreadable: Unreadable::Stays,
        };
        assert_eq!(options, expected);
        let query =
            "propagationPolicy=Foreground&dryRun=All&uid=u&resourceVersion=5&gracePeriodSeconds=0&fieldManager=x";
        assert_eq!(DeleteOptions::parse(Some(query), b""), Ok(expected));
    }

    #[rstest]
    #[case("orphanDependents=true", Propagation::Orphan, Deferred::Ok)]
    #[case("orphanDependents=", Propagation::Orphan, Deferred::Ok)]
    #[case("orphanDependents=false", Propagation::Background, Deferred::Accepted)]
    #[case("propagationPolicy=Background", Propagation::Background, Deferred::Ok)]
    fn the_old_parameter_is_understood(#[case] query: &str, #[case] how: Propagation, #[case] deferred: Deferred) {
        let options = DeleteOptions::parse(Some(query), b"").unwrap();
        assert_eq!((options.propagation, options.deferred), (Some(how), deferred));
    }

    #[rstest]
    #[case(
        "propagationPolicy=x",
        "propagationPolicy: Unsupported value: \"x\": supported values: \"Foreground\", \"Background\", \"Orphan\", \
         \"nil\""
    )]
    #[case(
        "propagationPolicy=Orphan&orphanDependents=1",
        "propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set"
    )]
    #[case(
        "ignoreStoreReadErrorWithClusterBreakingPotential=true&gracePeriodSeconds=1",
        "ignoreStoreReadErrorWithClusterBreakingPotential: Invalid value: true: cannot be set together with \
         .gracePeriodSeconds"
    )]
    #[case("dryRun=x&dryRun=All", "dryRun: Unsupported value: [\"x\",\"All\"]: supported values: \"All\"")]
    fn violations_have_the_texts_of_kubernetes(#[case] query: &str, #[case] message: &str) {
        let refusal = DeleteOptions::parse(Some(query), b"").unwrap_err();
        assert_eq!(refusal.to_string(), format!("DeleteOptions.meta.k8s.io \"\" is invalid: {message}"));
    }

    #[rstest]
    #[case("gracePeriodSeconds=x", "", "strconv.ParseInt: parsing \"x\": invalid syntax")]
    #[case("", r#"{"kind":"Pod"}"#, "decoded object cannot be converted to DeleteOptions")]
    fn what_cannot_be_read_is_a_bad_request(#[case] query: &str, #[case] body: &str, #[case] message: &str) {
        let refusal = DeleteOptions::parse(Some(query), body.as_bytes()).unwrap_err();
        assert_eq!(refusal, OptionsError::BadRequest(message.to_owned()));
    }

    #[test]
    fn a_body_of_another_shape_is_a_bad_request() {
        for body in ["[]", "{", "{\"preconditions\":[\"u\"]}", "{\"gracePeriodSeconds\":\"1\"}", "{\"dryRun\":\"All\"}"]
        {
            let refusal = DeleteOptions::parse(None, body.as_bytes()).unwrap_err();
            assert!(matches!(refusal, OptionsError::BadRequest(_)), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(query in ".{0,60}", body in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = DeleteOptions::parse(Some(&query), &body);
        }
    }
}
