//! The options of delete and deletecollection: the body's, or without a body the query's.
//!
//! Follows apimachinery pkg/apis/meta/v1/{conversion,validation/validation}.go and apiserver
//! pkg/endpoints/handlers/delete.go.

use serde::Deserialize;

use super::error::{Cause, OptionsError, check};
use super::go_text::{self, is_true};
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
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    kind: Option<String>,
    grace_period_seconds: Option<i64>,
    preconditions: Option<Preconditions>,
    orphan_dependents: Option<bool>,
    propagation_policy: Option<String>,
    dry_run: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

impl DeleteOptions {
    /// Reads the body, which is JSON (the caller has converted other formats), or the query if there is no body.
    pub fn parse(query: Option<&str>, body: &[u8]) -> Result<Self, OptionsError> {
        let wire = if body.is_empty() { from_query(&Query::parse(query)?)? } else { from_body(body)? };
        let causes = causes(&wire);
        check("DeleteOptions", causes)?;
        let propagation = match wire.propagation_policy.as_deref() {
            Some(policy) => propagation(policy),
            None => wire.orphan_dependents.map(|orphan| match orphan {
                true => Propagation::Orphan,
                false => Propagation::Background,
            }),
        };
        let preconditions = wire.preconditions.unwrap_or_default();
        Ok(Self {
            uid: preconditions.uid,
            resource_version: preconditions.resource_version,
            propagation,
            dry_run: if wire.dry_run.is_some_and(|values| !values.is_empty()) { DryRun::All } else { DryRun::No },
            grace_period_seconds: wire.grace_period_seconds,
            deferred: if wire.orphan_dependents == Some(false) { Deferred::Accepted } else { Deferred::Ok },
        })
    }
}

fn from_body(body: &[u8]) -> Result<Wire, OptionsError> {
    let wire: Option<Wire> =
        serde_json::from_slice(body).map_err(|error| OptionsError::BadRequest(error.to_string()))?;
    let wire = wire.unwrap_or_default();
    match wire.kind.as_deref() {
        None | Some("" | "DeleteOptions") => Ok(wire),
        Some(_) => {
            let message = "decoded object cannot be converted to DeleteOptions";
            Err(OptionsError::BadRequest(message.to_owned()))
        }
    }
}

fn from_query(query: &Query<'_>) -> Result<Wire, OptionsError> {
    let owned = |name: &str| query.filled(name).map(str::to_owned);
    let grace = query.first("gracePeriodSeconds").map(go_text::parse_int).transpose();
    Ok(Wire {
        kind: None,
        grace_period_seconds: grace.map_err(OptionsError::BadRequest)?,
        preconditions: Some(Preconditions { uid: owned("uid"), resource_version: owned("resourceVersion") }),
        orphan_dependents: query.first("orphanDependents").map(is_true),
        propagation_policy: query.first("propagationPolicy").map(str::to_owned),
        dry_run: Some(query.all("dryRun").map(str::to_owned).collect()),
    })
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
    causes
}
