//! The conditions of an instance: what Flux says of its release, where that holds for what is wanted now.
//!
//! Flux stamps the outcome of an attempt with the generation that the release has by then, which may be one that it has not
//! looked at. `status.lastAttemptedGeneration` is set before Helm runs: `True` is believed as far as that goes. On a
//! suspended release Flux moves `status.observedGeneration` alone, without a look at the change.
//!
//! Sources: fluxcd/pkg runtime/conditions/setter.go (`Set`), runtime/patch/patch.go (`patchStatusConditions`);
//! fluxcd/helm-controller internal/controller/helmrelease_controller.go (`reconcile`), internal/reconcile/atomic_release.go.

use jiff::Timestamp;
use serde_json::{Value, json};

/// A type of condition that instances have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionType {
    /// Whether the application works as it is wanted now.
    Ready,
    /// Whether Helm installed or upgraded the chart.
    Released,
    /// Whether Flux has given up.
    Stalled,
    /// Whether Flux is at work.
    Reconciling,
    /// Whether Flux is told not to look at the release.
    Suspended,
    /// Whether the values fit the schema.
    ValuesValid,
}

impl ConditionType {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Ready, Self::Released, Self::Stalled, Self::Reconciling, Self::Suspended, Self::ValuesValid];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Released => "Released",
            Self::Stalled => "Stalled",
            Self::Reconciling => "Reconciling",
            Self::Suspended => "Suspended",
            Self::ValuesValid => "ValuesValid",
        }
    }

    /// The type of a condition, if it is one of these.
    #[must_use]
    pub fn of(condition: &Value) -> Option<Self> {
        let name = text(condition, "type")?;
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Why a condition is as Kindsmith made it; all other reasons are Flux' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionReason {
    /// Of `Ready` and `Released`: Flux has not looked at what is wanted now.
    NotYetObserved,
    /// Of `Ready` and `Released`: Flux does not look at what is wanted now, because the release is suspended.
    Suspended,
    /// Of `Suspended`: the release has `spec.suspend`.
    SuspendedOnRelease,
    /// Of `ValuesValid`: the values do not fit.
    SchemaViolation,
}

impl ConditionReason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NotYetObserved, Self::Suspended, Self::SuspendedOnRelease, Self::SchemaViolation];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotYetObserved => "NotYetObserved",
            Self::Suspended => "Suspended",
            Self::SuspendedOnRelease => "SuspendedOnRelease",
            Self::SchemaViolation => "SchemaViolation",
        }
    }
}

/// Reasons of `Stalled` that are the outcome of attempts.
const STALLED_BY_ATTEMPTS: [&str; 2] = ["RetriesExceeded", "MissingRollbackTarget"];

/// Whether Flux is told not to look at a release.
#[must_use]
pub fn is_suspended(release: &Value) -> bool {
    release.pointer("/spec/suspend").and_then(Value::as_bool).unwrap_or_default()
}

/// The conditions of the instance of a release. `Ready` is among them as soon as a host has the release.
pub(super) fn of(release: &Value) -> Vec<Value> {
    let sighting = Sighting::of(release);
    let held = release.pointer("/status/conditions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut shown: Vec<Value> = held.iter().filter_map(|condition| sighting.shown(condition)).collect();
    let is_ready = |condition: &Value| ConditionType::of(condition) == Some(ConditionType::Ready);
    if sighting.generation.is_some() && !shown.iter().any(is_ready) {
        shown.insert(0, sighting.unknown(ConditionType::Ready, None));
    }
    if sighting.suspended {
        shown.push(sighting.suspension());
    }
    shown
}

/// What Flux has seen of a release, and what it was told to.
struct Sighting<'r> {
    release: &'r Value,
    /// The generation of the release; none before a host has it.
    generation: Option<i64>,
    /// The generation that Flux must have looked at. To suspend a release is a generation, and to delete it is one: where Flux
    /// is not to look, these are no changes.
    wanted: Option<i64>,
    /// What Flux says of the whole status; none on a suspended release, where it says no more than that Flux was there.
    observed: Option<i64>,
    /// The generation that Flux tried to install last; none of an older Flux, and before the first attempt.
    attempted: Option<i64>,
    suspended: bool,
}

impl<'r> Sighting<'r> {
    fn of(release: &'r Value) -> Self {
        let suspended = is_suspended(release);
        let status = release.get("status").unwrap_or(&Value::Null);
        let generation = release.pointer("/metadata/generation").and_then(Value::as_i64);
        let deleted = release.pointer("/metadata/deletionTimestamp").is_some();
        let of_themselves = if suspended { 1 + i64::from(deleted) } else { 0 };
        Self {
            release,
            generation,
            wanted: generation.map(|generation| generation.saturating_sub(of_themselves)),
            observed: generation_in(status, "observedGeneration").filter(|_| !suspended),
            attempted: generation_in(status, "lastAttemptedGeneration"),
            suspended,
        }
    }

    /// The generation of which a condition speaks: that of an attempt where it is the outcome of one.
    fn speaks_of(&self, condition: &Value) -> Option<i64> {
        let stamped = generation_in(condition, "observedGeneration").or(self.observed);
        match (stamped, self.attempted) {
            (Some(stamped), Some(attempted)) if is_true(condition) => Some(stamped.min(attempted)),
            (stamped, _) => stamped,
        }
    }

    /// A condition of Flux as the instance shows it, if it does.
    fn shown(&self, condition: &Value) -> Option<Value> {
        let kind = ConditionType::of(condition)?;
        match kind {
            ConditionType::Ready | ConditionType::Released if self.holds(condition) => Some(self.as_it_is(condition)),
            ConditionType::Ready | ConditionType::Released => Some(self.unknown(kind, Some(condition))),
            ConditionType::Stalled | ConditionType::Reconciling => {
                self.holds_now(kind, condition).then(|| self.as_it_is(condition))
            }
            // Nobody but Kindsmith says these.
            ConditionType::Suspended | ConditionType::ValuesValid => None,
        }
    }

    /// Whether what an outcome says holds for what is wanted. A condition that Flux did not renew holds as long as the whole
    /// status does, as kstatus has it.
    fn holds(&self, condition: &Value) -> bool {
        let stamped = generation_in(condition, "observedGeneration").max(self.observed);
        let looked = if self.suspended { stamped.max(self.attempted) } else { stamped };
        let Some(wanted) = self.wanted else { return true };
        let Some(looked) = looked else { return !self.suspended };
        looked >= wanted && (!is_true(condition) || self.is_attempted())
    }

    /// Whether Flux is at work on what is wanted, or has given it up.
    fn holds_now(&self, kind: ConditionType, condition: &Value) -> bool {
        let looked = generation_in(condition, "observedGeneration").or(self.observed);
        let Some(wanted) = self.wanted else { return true };
        let Some(looked) = looked else { return !self.suspended };
        let by_attempts = kind == ConditionType::Stalled
            && text(condition, "reason").is_some_and(|reason| STALLED_BY_ATTEMPTS.contains(&reason));
        looked >= wanted && (!by_attempts || self.is_attempted())
    }

    /// Whether Flux tried to install what is wanted; an older Flux does not tell.
    fn is_attempted(&self) -> bool {
        self.attempted >= self.wanted || self.attempted.is_none()
    }

    /// A condition as Flux has it, of the generation that it is about.
    fn as_it_is(&self, condition: &Value) -> Value {
        let mut shown = condition.clone();
        let stamped = generation_in(condition, "observedGeneration");
        // The suspension may have come while Flux was at work: the outcome has its generation.
        let of = if self.suspended { stamped.and_then(|_| self.speaks_of(condition)) } else { stamped };
        set_generation(&mut shown, of);
        shown
    }

    /// A condition of which nothing is known for the present generation, in the place of what Flux said before.
    fn unknown(&self, kind: ConditionType, before: Option<&Value>) -> Value {
        let reason = if self.suspended { ConditionReason::Suspended } else { ConditionReason::NotYetObserved };
        let of = before.and_then(|before| self.speaks_of(before));
        let generation = self.generation.unwrap_or_default();
        let mut message = match reason {
            ConditionReason::Suspended => {
                format!("generation {generation} is not applied while the HelmRelease is suspended")
            }
            _ => format!("generation {generation} has not been observed yet"),
        };
        if let (Some(before), Some(of)) = (before, of) {
            let said = |member| text(before, member).unwrap_or_default();
            let (status, reason, words) = (said("status"), said("reason"), said("message"));
            message.push_str(&format!("; generation {of} was {status} ({reason}): {words}"));
        }
        let mut condition =
            json!({"type": kind.name(), "status": "Unknown", "reason": reason.name(), "message": message});
        set_generation(&mut condition, of);
        let replaced = before.and_then(|before| text(before, "lastTransitionTime"));
        let written = written_at(self.release, &["f:spec"]).or_else(|| created_at(self.release));
        set_time(&mut condition, [replaced, written].into_iter().flatten());
        condition
    }

    /// The condition that tells of the suspension.
    fn suspension(&self) -> Value {
        let mut condition = json!({
            "type": ConditionType::Suspended.name(),
            "status": "True",
            "reason": ConditionReason::SuspendedOnRelease.name(),
            "message": "the HelmRelease has spec.suspend: changes are not applied before it is resumed, and a deletion \
                leaves what was installed",
        });
        let since = written_at(self.release, &["f:spec", "f:suspend"]).or_else(|| created_at(self.release));
        set_time(&mut condition, since.into_iter());
        condition
    }
}

pub(super) fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str)
}

fn is_true(condition: &Value) -> bool {
    text(condition, "status") == Some("True")
}

/// A generation, if somebody has reported one: -1 is the default of the CustomResourceDefinition.
pub(super) fn generation_in(value: &Value, member: &str) -> Option<i64> {
    value.get(member).and_then(Value::as_i64).filter(|&generation| generation > 0)
}

fn set_generation(condition: &mut Value, generation: Option<i64>) {
    let Some(members) = condition.as_object_mut() else { return };
    match generation {
        Some(generation) => members.insert("observedGeneration".to_owned(), json!(generation)),
        None => members.remove("observedGeneration"),
    };
}

/// Sets the latest of these times, in the words that they came in.
fn set_time<'a>(condition: &mut Value, times: impl Iterator<Item = &'a str>) {
    let known = times.filter_map(|time| Some((time.parse::<Timestamp>().ok()?, time)));
    if let Some((_, latest)) = known.max_by_key(|(at, _)| *at) {
        condition["lastTransitionTime"] = json!(latest);
    }
}

fn created_at(release: &Value) -> Option<&str> {
    release.pointer("/metadata/creationTimestamp").and_then(Value::as_str)
}

/// When those wrote last, past `/status`, who own a field or something below it.
fn written_at<'r>(release: &'r Value, path: &[&str]) -> Option<&'r str> {
    let entries = release.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten();
    let times = entries.filter(|entry| owns(entry, path)).filter_map(|entry| text(entry, "time"));
    let known = times.filter_map(|time| Some((time.parse::<Timestamp>().ok()?, time)));
    known.max_by_key(|(at, _)| *at).map(|(_, time)| time)
}

/// Whether an entry of `managedFields` that is not of a subresource has a field or something below it.
fn owns(entry: &Value, path: &[&str]) -> bool {
    let fields = entry.get("fieldsV1").filter(|_| text(entry, "subresource").is_none_or(str::is_empty));
    fields.is_some_and(|fields| path.iter().try_fold(fields, |fields, step| fields.get(step)).is_some())
}

#[cfg(test)]
mod tests;
