//! A schema and objects: pruning and defaulting are done after once, validation is a function.

use kindsmith_schema::field::FieldPath;
use kindsmith_schema::structural::Schema;
use serde_json::Value;

/// The lines of `data` are a schema, an object and what the object replaces.
pub(crate) fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n').map(serde_json::from_slice::<Value>);
    let (Some(Ok(schema)), Some(Ok(mut object))) = (lines.next(), lines.next()) else { return };
    let Ok(schema) = Schema::compile(&schema, &FieldPath::root()) else { return };
    // As it was sent, before anything made it fit.
    schema.validate(&object);

    let unknown = schema.prune(&mut object);
    assert!(unknown.is_sorted());
    let pruned = object.clone();
    assert!(schema.prune(&mut object).is_empty(), "pruned twice: {unknown:?}");
    assert_eq!(object, pruned);

    schema.default(&mut object);
    let defaulted = object.clone();
    schema.default(&mut object);
    assert_eq!(object, defaulted);

    let errors = schema.validate(&object);
    assert_eq!(errors, schema.validate(&object));
    assert_eq!(object, defaulted);
    // Nothing changes: whatever is wrong was so before, except for what is never forgiven.
    assert!(schema.validate_update(&object, &object).len() <= errors.len());
    if let Some(Ok(old)) = lines.next() {
        let errors = schema.validate_update(&object, &old);
        assert_eq!(errors, schema.validate_update(&object, &old));
        schema.validate_status_update(&object, &old);
    }
}
