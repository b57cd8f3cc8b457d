//! Requests between which the definition changes.

use proptest::sample::subsequence;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::Value;

use super::{Ask, Step, merge, versions};
use crate::twin::definition::{Backend, CHANGES, Change};

/// How many changes a definition has against the first one.
const AT_ONCE_MAX: usize = 3;

/// A sequence of steps in all versions, and changes of the definition between them.
pub fn sequence(backend: Backend) -> impl Strategy<Value = Vec<Step>> {
    let changes: Vec<Change> = CHANGES.into_iter().filter(|change| change.is_for(backend)).collect();
    let change = subsequence(changes, 0..=AT_ONCE_MAX).prop_map(Step::Change);
    let step = prop_oneof![
        1 => change,
        9 => (versions::step(), option::weighted(0.2, Just("v2")), own_fields()).prop_map(|(step, version, fields)| match step {
            Step::Ask(ask) => {
                let Ask { version: held, .. } = ask;
                Step::Ask(versions::in_version(ask, version.unwrap_or(held), &fields))
            }
            other => other,
        }),
    ];
    vec(step, 1..40)
}

/// Fields of a spec that the changes are about.
fn own_fields() -> impl Strategy<Value = Value> {
    let field = |name: &'static str| {
        option::weighted(0.4, select(vec!["x", "y"])).prop_map(move |value| value.map(|value| (name, value)))
    };
    (field("extra"), field("must"), option::weighted(0.1, Just(serde_json::json!({"extra": 7})))).prop_map(
        |(extra, must, number)| {
            let fields = [extra, must].into_iter().flatten();
            let mut fields: Value = fields.map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
            if let Some(number) = number {
                merge(&mut fields, &number);
            }
            fields
        },
    )
}
