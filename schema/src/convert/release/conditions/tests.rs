//! What Flux writes, in its orders, and what readers make of the conditions of the instance.

use proptest::prelude::*;

use super::*;

const CREATED: &str = "2026-01-01T00:00:00Z";
const TOLD: &str = "2026-01-01T01:00:00Z";
const CHANGED: &str = "2026-01-01T02:00:00Z";

fn condition(kind: &str, status: &str, reason: &str, generation: i64) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": "said by Helm", "lastTransitionTime": TOLD,
        "observedGeneration": generation})
}

fn ready(status: &str, reason: &str, generation: i64) -> Value {
    condition("Ready", status, reason, generation)
}

fn release(generation: i64, status: Value) -> Value {
    let mut release = json!({"metadata": {"generation": generation, "creationTimestamp": CREATED}, "spec": {}});
    release["status"] = status;
    release
}

/// One of which `attempted` was the last attempt, and succeeded.
fn succeeded(generation: i64, attempted: i64) -> Value {
    release(
        generation,
        json!({"observedGeneration": attempted, "lastAttemptedGeneration": attempted, "conditions": [
            ready("True", "InstallSucceeded", attempted),
            condition("Released", "True", "InstallSucceeded", attempted)]}),
    )
}

fn suspended(mut release: Value) -> Value {
    release["spec"]["suspend"] = json!(true);
    release
}

fn find(release: &Value, kind: ConditionType) -> Option<Value> {
    of(release).into_iter().find(|condition| ConditionType::of(condition) == Some(kind))
}

/// Status, reason and generation of `Ready`.
fn told(release: &Value) -> (String, String, Option<i64>) {
    let ready = find(release, ConditionType::Ready).unwrap();
    let said = |member| text(&ready, member).unwrap().to_owned();
    (said("status"), said("reason"), ready.get("observedGeneration").and_then(Value::as_i64))
}

fn is(status: &str, reason: &str, generation: impl Into<Option<i64>>) -> (String, String, Option<i64>) {
    (status.to_owned(), reason.to_owned(), generation.into())
}

#[test]
fn an_outcome_of_the_present_generation_is_shown_as_it_is() {
    let release = succeeded(4, 4);
    assert_eq!(of(&release), release["status"]["conditions"].as_array().unwrap().clone());
}

#[test]
fn the_outcome_of_one_generation_says_nothing_of_the_next_whatever_it_is_stamped_with() {
    assert_eq!(told(&succeeded(5, 4)), is("Unknown", "NotYetObserved", 4));
    let message = find(&succeeded(5, 4), ConditionType::Ready).unwrap()["message"].clone();
    let words = "generation 5 has not been observed yet; generation 4 was True (InstallSucceeded): said by Helm";
    assert_eq!(message, words);
    // The attempt of 4 ended while 5 waited: Flux stamps all conditions with 5.
    let mut stamped = succeeded(5, 4);
    stamped["status"]["conditions"] =
        json!([ready("True", "UpgradeSucceeded", 5), condition("Released", "True", "UpgradeSucceeded", 5)]);
    assert_eq!(told(&stamped), is("Unknown", "NotYetObserved", 4));
    assert_eq!(find(&stamped, ConditionType::Released).unwrap()["status"], "Unknown");
    stamped["status"]["lastAttemptedGeneration"] = json!(5);
    assert_eq!(told(&stamped), is("True", "UpgradeSucceeded", 5));
    // A failure is shown as it is.
    stamped["status"]["lastAttemptedGeneration"] = json!(4);
    stamped["status"]["conditions"] = json!([ready("False", "UpgradeFailed", 5)]);
    assert_eq!(told(&stamped), is("False", "UpgradeFailed", 5));
}

#[test]
fn an_older_flux_that_does_not_tell_what_it_attempted_is_believed() {
    let with = |stamp: Option<i64>, observed: i64| {
        let mut ready = ready("True", "InstallSucceeded", 0);
        match stamp {
            Some(stamp) => ready["observedGeneration"] = json!(stamp),
            None => drop(ready.as_object_mut().unwrap().remove("observedGeneration")),
        }
        told(&release(5, json!({"observedGeneration": observed, "conditions": [ready]})))
    };
    assert_eq!(with(Some(5), 4), is("True", "InstallSucceeded", 5));
    assert_eq!(with(Some(4), 4), is("Unknown", "NotYetObserved", 4));
    assert_eq!(with(None, 4), is("Unknown", "NotYetObserved", 4));
    assert_eq!(with(Some(1), 5), is("True", "InstallSucceeded", 1), "what Flux did not say is not shown");
    for nobody_says in [Some(0), Some(-1), None] {
        assert_eq!(with(nobody_says, -1), is("True", "InstallSucceeded", None));
    }
}

#[test]
fn ready_is_there_before_flux_has_looked() {
    for status in [json!({"observedGeneration": -1}), json!({}), Value::Null, json!({"conditions": "x"})] {
        let made = release(1, status);
        assert_eq!(told(&made), is("Unknown", "NotYetObserved", None), "{made}");
        assert_eq!(told(&suspended(made)), is("Unknown", "Suspended", None));
    }
    // Flux has begun.
    let begun = release(1, json!({"conditions": [condition("Reconciling", "True", "Progressing", 1)]}));
    assert_eq!(told(&begun), is("Unknown", "NotYetObserved", None));
}

#[test]
fn a_suspended_release_keeps_what_flux_says_until_there_is_a_change() {
    // To suspend it was a generation, and Flux moves its own alone.
    let mut held = suspended(succeeded(5, 4));
    for observed in [4, 5] {
        held["status"]["observedGeneration"] = json!(observed);
        assert_eq!(told(&held), is("True", "InstallSucceeded", 4));
    }
    let suspension = find(&held, ConditionType::Suspended).unwrap();
    assert_eq!((&suspension["status"], &suspension["reason"]), (&json!("True"), &json!("SuspendedOnRelease")));
    // A change of the values, or of a setting.
    held["metadata"]["generation"] = json!(6);
    for observed in [5, 6] {
        held["status"]["observedGeneration"] = json!(observed);
        assert_eq!(told(&held), is("Unknown", "Suspended", 4));
    }
    let message = find(&held, ConditionType::Ready).unwrap()["message"].clone();
    assert_eq!(
        message,
        "generation 6 is not applied while the HelmRelease is suspended; generation 4 was True (InstallSucceeded): said by Helm"
    );
    // Resumed, and not looked at yet.
    held["metadata"]["generation"] = json!(7);
    held["spec"]["suspend"] = json!(false);
    assert_eq!(told(&held), is("Unknown", "NotYetObserved", 4));
    assert_eq!(find(&held, ConditionType::Suspended), None);
    // A deletion is a generation, and no change.
    let mut deleted = suspended(succeeded(6, 4));
    assert_eq!(told(&deleted), is("Unknown", "Suspended", 4));
    deleted["metadata"]["deletionTimestamp"] = json!(CHANGED);
    assert_eq!(told(&deleted), is("True", "InstallSucceeded", 4));
    // Suspended while Flux worked on 4, of which the outcome is stamped with 5.
    let mut at_work = suspended(succeeded(5, 4));
    at_work["status"]["conditions"] = json!([ready("True", "UpgradeSucceeded", 5)]);
    assert_eq!(told(&at_work), is("True", "UpgradeSucceeded", 4));
    let mut failed = suspended(succeeded(5, 4));
    failed["status"]["conditions"] = json!([ready("False", "UpgradeFailed", 4)]);
    assert_eq!(told(&failed), is("False", "UpgradeFailed", 4));
}

#[test]
fn flux_at_work_and_flux_that_has_given_up_are_shown_of_the_present_generation_alone() {
    let with = |kind: &str, reason: &str, stamp: i64, attempted: i64| {
        let conditions = [condition(kind, "True", reason, stamp), ready("False", "InstallFailed", stamp)];
        release(2, json!({"observedGeneration": 2, "lastAttemptedGeneration": attempted, "conditions": conditions}))
    };
    let kinds = |release: &Value| of(release).iter().filter_map(ConditionType::of).collect::<Vec<_>>();
    let (stalled, reconciling, ready) = (ConditionType::Stalled, ConditionType::Reconciling, ConditionType::Ready);
    assert_eq!(kinds(&with("Stalled", "RetriesExceeded", 2, 2)), [stalled, ready]);
    assert_eq!(kinds(&with("Stalled", "RetriesExceeded", 1, 1)), [ready]);
    assert_eq!(kinds(&with("Stalled", "RetriesExceeded", 2, 1)), [ready], "it gave 1 up, and stamped that with 2");
    assert_eq!(kinds(&with("Stalled", "AccessDenied", 2, 1)), [stalled, ready], "it cannot come to an attempt");
    assert_eq!(kinds(&with("Reconciling", "Progressing", 2, 1)), [reconciling, ready]);
    assert_eq!(kinds(&with("Reconciling", "Progressing", 1, 1)), [ready]);
    let given_up = suspended(with("Stalled", "RetriesExceeded", 1, 1));
    assert_eq!(kinds(&given_up), [stalled, ready, ConditionType::Suspended]);
    let mut changed = given_up;
    changed["metadata"]["generation"] = json!(3);
    assert_eq!(kinds(&changed), [ready, ConditionType::Suspended]);
    assert_eq!(told(&changed), is("Unknown", "Suspended", 1));
}

#[test]
fn what_is_not_known_has_the_time_of_the_change_and_is_never_older_than_what_it_replaces() {
    let time = |release: &Value| find(release, ConditionType::Ready).unwrap()["lastTransitionTime"].clone();
    let mut changed = succeeded(5, 4);
    assert_eq!(time(&changed), TOLD, "who wrote the change is not known");
    let entry = |manager: &str, subresource: &str, at: &str, fields: Value| json!({"manager": manager, "subresource": subresource, "time": at, "fieldsV1": fields});
    changed["metadata"]["managedFields"] = json!([
        entry("kindsmith", "", CHANGED, json!({"f:metadata": {}, "f:spec": {"f:values": {}}})),
        entry("labeller", "", "2026-01-01T05:00:00Z", json!({"f:metadata": {"f:labels": {}}})),
        entry("helm-controller", "status", "2026-01-01T06:00:00Z", json!({"f:status": {}, "f:spec": {}}))
    ]);
    assert_eq!(time(&changed), CHANGED);
    changed["status"]["conditions"][0]["lastTransitionTime"] = json!("2026-01-01T03:00:00Z");
    assert_eq!(time(&changed), "2026-01-01T03:00:00Z", "the attempt ended after the change");
    assert_eq!(time(&release(1, json!({}))), CREATED);
    // That of what is shown as it is, is as it is.
    assert_eq!(time(&succeeded(4, 4)), TOLD);
    let mut held = suspended(succeeded(5, 4));
    held["metadata"]["managedFields"] = json!([
        entry("flux", "", CHANGED, json!({"f:spec": {"f:suspend": {}}})),
        entry("kindsmith", "", "2026-01-01T04:00:00Z", json!({"f:spec": {"f:values": {}}}))
    ]);
    assert_eq!(find(&held, ConditionType::Suspended).unwrap()["lastTransitionTime"], CHANGED);
}

#[test]
fn types_that_only_kindsmith_reports_are_not_taken_from_the_release() {
    let conditions = [condition("Suspended", "False", "x", 1), condition("ValuesValid", "True", "x", 1)];
    assert_eq!(of(&release(1, json!({"conditions": conditions}))).len(), 1);
}

/// The table of docs/status.md has each condition with each reason that the code has, and no others of Kindsmith.
#[test]
fn the_documented_conditions_are_those_that_there_are() {
    let text = include_str!("../../../../../docs/status.md");
    let instances = text.split("\n## ").find(|part| part.starts_with("Instances\n")).unwrap();
    let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = instances
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .filter(|row: &Vec<String>| row.len() == 5)
        .collect();
    let mut told: Vec<(String, String)> = Vec::new();
    for row in &rows {
        let kind = code(&row[0]).remove(0);
        let reasons = row[2]
            .split_once("Flux' own")
            .map_or(row[2].as_str(), |(_, rest)| rest.split_once(", such as").map_or(rest, |_| ""));
        told.extend(code(reasons).into_iter().map(|reason| (kind.clone(), reason)));
    }
    told.sort_unstable();
    let (ready, released) = (ConditionType::Ready, ConditionType::Released);
    let mut known: Vec<(String, String)> = ConditionReason::ALL
        .into_iter()
        .flat_map(|reason| {
            let kinds = match reason {
                ConditionReason::NotYetObserved | ConditionReason::Suspended => vec![ready, released],
                ConditionReason::SuspendedOnRelease => vec![ConditionType::Suspended],
                ConditionReason::SchemaViolation => vec![ConditionType::ValuesValid],
            };
            kinds.into_iter().map(move |kind| (kind.name().to_owned(), reason.name().to_owned()))
        })
        .collect();
    known.sort_unstable();
    assert_eq!(told, known);
    let mut kinds: Vec<String> = rows.iter().map(|row| code(&row[0]).remove(0)).collect();
    kinds.dedup();
    assert_eq!(kinds, ConditionType::ALL.map(ConditionType::name), "in the order of the code");
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Succeeds,
    /// There was nothing to be done by Helm.
    NeedsNothing,
    /// Flux tries again.
    Fails,
    GivesUp,
    /// The chart is not there yet: nothing is attempted.
    Waits,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Somebody changes the values, or a setting.
    Change,
    /// Somebody suspends the release, or resumes it.
    Suspend(bool),
    /// Flux makes the next of its writes; a run that begins will end so.
    Flux(Outcome),
}

/// A release and the Flux that reconciles it, one write after another.
struct World {
    release: Value,
    /// The generation that Flux works on, how many writes it made, and how it ends.
    run: Option<(i64, usize, Outcome)>,
    /// The last generation that is more than a suspension.
    changed: i64,
}

impl World {
    fn generation(&self) -> i64 {
        self.release["metadata"]["generation"].as_i64().unwrap()
    }

    fn write(&mut self) -> i64 {
        let next = self.generation() + 1;
        self.release["metadata"]["generation"] = json!(next);
        next
    }

    /// Flux reads the release again for its conditions, and stamps them with the generation that it finds.
    fn set(&mut self, kind: &str, status: &str, reason: &str) {
        self.remove(kind);
        let stamped = condition(kind, status, reason, self.generation());
        let conditions = &mut self.release["status"]["conditions"];
        if !conditions.is_array() {
            *conditions = json!([]);
        }
        conditions.as_array_mut().unwrap().push(stamped);
    }

    fn remove(&mut self, kind: &str) {
        if let Some(conditions) = self.release["status"]["conditions"].as_array_mut() {
            conditions.retain(|condition| condition["type"] != kind);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Change => self.changed = self.write(),
            Step::Suspend(wanted) if is_suspended(&self.release) != wanted => {
                self.release["spec"]["suspend"] = json!(wanted);
                self.write();
            }
            Step::Suspend(_) => {}
            Step::Flux(outcome) => self.flux(outcome),
        }
    }

    /// Source: fluxcd/helm-controller internal/controller/helmrelease_controller.go, internal/reconcile/atomic_release.go;
    /// fluxcd/pkg runtime/patch/patch.go: conditions come before the rest of the status.
    fn flux(&mut self, outcome: Outcome) {
        let outcome = match outcome {
            // Helm has something to do before there is anything.
            Outcome::NeedsNothing if self.attempted().is_none() => Outcome::Succeeds,
            outcome => outcome,
        };
        let (of, writes, outcome) = self.run.unwrap_or((self.generation(), 0, outcome));
        self.run = Some((of, writes + 1, outcome));
        let status = |world: &mut World, member: &str| world.release["status"][member] = json!(of);
        match (writes, outcome) {
            (0, _) if is_suspended(&self.release) => {
                status(self, "observedGeneration");
                self.run = None;
            }
            (0, _) => {
                self.remove("Stalled");
                self.set("Reconciling", "True", "Progressing");
            }
            (1, Outcome::Waits) => {
                self.set("Ready", "False", "SourceNotReady");
                self.run = None;
            }
            (1, Outcome::NeedsNothing) => {
                self.remove("Reconciling");
                self.set("Ready", "True", "UpgradeSucceeded");
            }
            (2, Outcome::NeedsNothing) => {
                status(self, "lastAttemptedGeneration");
                status(self, "observedGeneration");
                self.run = None;
            }
            (1, _) => self.set("Ready", "Unknown", "Progressing"),
            (2, _) => status(self, "lastAttemptedGeneration"),
            (3, Outcome::Succeeds) => {
                self.remove("Reconciling");
                self.set("Released", "True", "UpgradeSucceeded");
                self.set("Ready", "True", "UpgradeSucceeded");
            }
            (3, Outcome::Fails) => {
                self.set("Released", "False", "UpgradeFailed");
                self.set("Ready", "False", "RollbackSucceeded");
                self.set("Reconciling", "True", "ProgressingWithRetry");
                self.run = None;
            }
            (3, _) => {
                self.remove("Reconciling");
                self.set("Released", "False", "UpgradeFailed");
                self.set("Ready", "False", "UninstallSucceeded");
                self.set("Stalled", "True", "RetriesExceeded");
            }
            _ => {
                status(self, "observedGeneration");
                self.run = None;
            }
        }
    }

    fn attempted(&self) -> Option<i64> {
        self.release["status"]["lastAttemptedGeneration"].as_i64()
    }

    /// Generations that Flux has reported, whatever of.
    fn reported(&self) -> Vec<i64> {
        let status = &self.release["status"];
        let stamps = status["conditions"].as_array().into_iter().flatten().map(|it| &it["observedGeneration"]);
        let all = stamps.chain([&status["observedGeneration"], &status["lastAttemptedGeneration"]]);
        all.filter_map(Value::as_i64).collect()
    }

    /// Does a step, and looks at what readers are told then.
    fn step_and_look(&mut self, step: Step) -> Result<(), TestCaseError> {
        self.step(step);
        let conditions = of(&self.release);
        let ready = conditions.iter().find(|it| it["type"] == "Ready");
        prop_assert!(ready.is_some(), "READY is blank");
        for kind in [ConditionType::Ready, ConditionType::Released] {
            if kubectl_waits_no_more(&self.release, &conditions, kind) {
                prop_assert!(self.attempted() >= Some(self.generation()), "{kind:?} after {step:?}: {}", self.release);
            }
        }
        if ready.is_some_and(is_true) || is_failed_to_kstatus(&self.release, &conditions) {
            prop_assert!(self.attempted() >= Some(self.changed), "after {step:?}: {}", self.release);
        }
        let reported = self.reported();
        for shown in conditions.iter().filter_map(|it| it.get("observedGeneration")) {
            prop_assert!(shown.as_i64().is_some_and(|it| reported.contains(&it)), "{shown} after {step:?}");
        }
        Ok(())
    }
}

/// Whether `kubectl wait --for=condition=<kind>` returns.
///
/// Source: k8s.io/kubectl/pkg/cmd/wait/condition.go (`checkCondition`, `getObservedGeneration`).
fn kubectl_waits_no_more(release: &Value, conditions: &[Value], kind: ConditionType) -> bool {
    let condition = conditions.iter().find(|condition| ConditionType::of(condition) == Some(kind));
    condition.is_some_and(|condition| {
        let observed = condition.get("observedGeneration").or_else(|| release["status"].get("observedGeneration"));
        let is_old =
            observed.and_then(Value::as_i64).is_some_and(|it| it < release["metadata"]["generation"].as_i64().unwrap());
        !is_old && is_true(condition)
    })
}

/// Whether kstatus says `Failed`, which nothing waits for.
///
/// Source: sigs.k8s.io/cli-utils pkg/kstatus/status/generic.go (`checkGenericProperties`).
fn is_failed_to_kstatus(release: &Value, conditions: &[Value]) -> bool {
    let observed = release["status"].get("observedGeneration");
    if observed.is_some_and(|observed| *observed != release["metadata"]["generation"]) {
        return false;
    }
    let decides = |condition: &&Value| {
        is_true(condition) && matches!(condition["type"].as_str(), Some("Reconciling" | "Stalled"))
    };
    conditions.iter().find(decides).is_some_and(|condition| condition["type"] == "Stalled")
}

fn any_step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Succeeds), 2 => Just(Outcome::NeedsNothing), 1 => Just(Outcome::Fails),
        1 => Just(Outcome::GivesUp), 1 => Just(Outcome::Waits)];
    prop_oneof![
        3 => Just(Step::Change),
        1 => any::<bool>().prop_map(Step::Suspend),
        9 => outcome.prop_map(Step::Flux),
    ]
}

proptest! {
    #[test]
    fn nobody_who_waits_is_told_of_an_attempt_that_was_not_made(steps in proptest::collection::vec(any_step(), 1..60)) {
        let mut world = World { release: release(1, json!({})), run: None, changed: 1 };
        for step in steps {
            world.step_and_look(step)?;
        }
        world.step_and_look(Step::Suspend(false))?;
        while world.run.is_some() {
            world.step_and_look(Step::Flux(Outcome::Succeeds))?;
        }
        world.step_and_look(Step::Flux(Outcome::Succeeds))?;
        while world.run.is_some() {
            world.step_and_look(Step::Flux(Outcome::Succeeds))?;
        }
        let conditions = of(&world.release);
        prop_assert!(kubectl_waits_no_more(&world.release, &conditions, ConditionType::Ready), "{}", world.release);
    }
}
