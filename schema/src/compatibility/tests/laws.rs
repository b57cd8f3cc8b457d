//! What holds for all schemas and all changes of them.

use proptest::prelude::*;
use serde_json::Value;

use super::tape::Tape;
use crate::compatibility::{Change, compare};
use crate::field::FieldPath;
use crate::structural::Schema;

fn compile(schema: &Value) -> Option<Schema> {
    Schema::compile(schema, &FieldPath::root()).ok()
}

fn admitted(schema: &Schema, object: &Value) -> Value {
    let mut object = object.clone();
    schema.prune(&mut object);
    schema.default(&mut object);
    object
}

/// Arrays where a string with a format is wanted are taken by kube-apiserver for strings by mistake, and by us.
fn is_an_accident(schema: &Value, object: &Value) -> bool {
    let inside = |keyword: &str| &schema[keyword];
    match object {
        Value::Array(_) if schema["format"].is_string() => true,
        Value::Array(items) => items.iter().any(|item| is_an_accident(inside("items"), item)),
        Value::Object(map) => map.iter().any(|(name, value)| {
            let field = schema["properties"].get(name).unwrap_or(inside("additionalProperties"));
            is_an_accident(field, value)
        }),
        _ => false,
    }
}

/// A default inside of additionalProperties may itself have unknown fields: clients see them once unknown fields are kept.
fn is_default_pruned_no_more(change: &Change) -> bool {
    match change {
        Change::Default { old: Value::Object(old), new: Some(Value::Object(new)) } => {
            old.len() < new.len() && old.iter().all(|(name, value)| new.get(name) == Some(value))
        }
        _ => false,
    }
}

fn tapes() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(0..5040u16, 10..160)
}

/// More than usual: most schemas do not compile, and most changes are told.
fn cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(2000), ..usual }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_schema_is_compatible_with_itself(tape in tapes()) {
        let Some(schema) = compile(&Tape::new(tape).resource()) else { return Ok(()) };
        prop_assert_eq!(compare(&schema, &schema), []);
    }

    #[test]
    fn a_widened_schema_breaks_nothing(tape in tapes(), steps in 1..4usize) {
        let mut tape = Tape::new(tape);
        let old = tape.resource();
        let mut new = old.clone();
        for _ in 0..steps {
            tape.widen(&mut new);
        }
        let (Some(before), Some(after)) = (compile(&old), compile(&new)) else { return Ok(()) };
        let mut told = compare(&before, &after);
        told.retain(|found| !is_default_pruned_no_more(&found.change));
        prop_assert_eq!(told, [], "{} {}", old, new);
    }

    #[test]
    fn where_nothing_stored_is_hurt_all_that_was_valid_is_valid(
        schema in tapes(), change in prop::collection::vec(0..5040u16, 4..40), steps in 0..4usize,
        objects in prop::collection::vec(prop::collection::vec(0..5040u16, 4..60), 8),
    ) {
        let old = Tape::new(schema).resource();
        let mut change = Tape::new(change);
        let mut new = old.clone();
        if steps == 0 {
            new = change.resource();
        }
        for _ in 0..steps {
            change.change(&mut new);
        }
        let (Some(before), Some(after)) = (compile(&old), compile(&new)) else { return Ok(()) };
        if compare(&before, &after).iter().any(|found| found.hurts.stored()) {
            return Ok(());
        }
        for tape in objects {
            // Twice: a default inside of additionalProperties may itself have unknown fields.
            let object = admitted(&before, &admitted(&before, &Tape::new(tape).instance(&old)));
            if !before.validate(&object).is_empty() || is_an_accident(&old, &object) {
                continue;
            }
            prop_assert_eq!(after.prune(&mut object.clone()), Vec::<String>::new(), "{} {} {}", old, new, object);
            let read = admitted(&after, &object);
            prop_assert_eq!(after.validate(&read), [], "{} {} {}", old, new, read);
        }
    }
}
