//! `metadata` as the type that it is: fields of the wrong type are an error, unknown ones are dropped.

use kindsmith_schema::structural::object_meta;
use serde_json::Value;

/// Reads `metadata` as its type: drops what is unknown or empty, and returns the paths of what was unknown.
///
/// # Errors
/// A field has the wrong type; the text is that of Go's JSON decoder.
pub fn coerce(object: &mut Value) -> Result<Vec<String>, String> {
    let Some(metadata) = object.as_object_mut().and_then(|object| object.get_mut("metadata")) else {
        return Ok(Vec::new());
    };
    let (read, unknown) = object_meta::read(metadata)?;
    *metadata = Value::Object(read);
    Ok(unknown.into_iter().map(|path| format!("metadata.{path}")).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_are_dropped_with_their_paths() {
        let mut object = json!({"metadata": {"name": "a", "x": 1, "ownerReferences": [{"name": "o", "y": 2}]}});
        assert_eq!(coerce(&mut object).unwrap(), ["metadata.ownerReferences[0].y", "metadata.x"]);
        let owner = json!({"apiVersion": "", "kind": "", "name": "o", "uid": ""});
        assert_eq!(object, json!({"metadata": {"name": "a", "ownerReferences": [owner]}}));
    }

    #[test]
    fn empty_fields_are_dropped_in_silence() {
        let mut object = json!({"metadata": {"labels": {}, "finalizers": [], "uid": "", "generation": 0,
            "creationTimestamp": null, "deletionGracePeriodSeconds": 0}});
        assert_eq!(coerce(&mut object).unwrap(), Vec::<String>::new());
        assert_eq!(object, json!({"metadata": {"deletionGracePeriodSeconds": 0}}));
    }

    #[test]
    fn fields_of_the_wrong_type_are_errors_in_the_words_of_go() {
        let said = |metadata: Value| coerce(&mut json!({"metadata": metadata})).unwrap_err();
        assert_eq!(
            said(json!({"labels": {"app": 1}})),
            "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
        );
        assert_eq!(said(json!([])), "json: cannot unmarshal array into Go value of type v1.ObjectMeta");
        assert_eq!(
            said(json!({"generation": 1.5})),
            "json: cannot unmarshal number 1.5 into Go struct field ObjectMeta.generation of type int64"
        );
    }
}
