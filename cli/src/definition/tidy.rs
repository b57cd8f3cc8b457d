//! What makes a structural schema one that is accepted: its defaults fit, required fields are known, and what is
//! refused all the same is given up, the least important first.

use serde_json::{Map, Value, json};

use super::{judge, schema::PRESERVE, warnings::Warnings};

/// What can be given up, and how it is called.
const CONCESSIONS: [(&[&str], &str); 3] = [
    (
        &["x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"],
        "the extensions of Kubernetes",
    ),
    (&["pattern"], "the patterns"),
    (&["default"], "the defaults"),
];

/// Gives up what keeps the schema from being accepted.
pub(super) fn concede(schema: &mut Value, warnings: &mut Warnings) {
    for (keywords, what) in CONCESSIONS {
        let Some(fault) = judge::schema_fault(schema) else { return };
        warnings.add(&["spec".to_owned()], &format!("without {what}, as this is refused: {fault}"));
        remove(schema, keywords);
    }
}

/// The same for what the chart's own schema says, defaults apart: each of those is judged by itself.
pub(super) fn concede_all_but_defaults(schema: &mut Value, warnings: &mut Warnings) {
    for (keywords, what) in CONCESSIONS.into_iter().filter(|(keywords, _)| *keywords != ["default"]) {
        let mut bare = schema.clone();
        remove(&mut bare, &["default"]);
        let Some(fault) = judge::schema_fault(&bare) else { return };
        warnings.add(&["spec".to_owned()], &format!("without {what}, as this is refused: {fault}"));
        remove(schema, keywords);
    }
}

fn remove(schema: &mut Value, keywords: &[&str]) {
    let Some(members) = schema.as_object_mut() else { return };
    members.retain(|keyword, _| !keywords.contains(&keyword.as_str()));
    if let Some(parts) = members.get_mut("allOf").and_then(Value::as_array_mut) {
        parts.iter_mut().for_each(|part| remove(part, keywords));
    }
    for_each_inside(members, &mut |_, inner| remove(inner, keywords));
}

/// Drops defaults that are no values of their schema: they would be refused. Those inside come first, as they decide
/// what is required.
pub(super) fn drop_wrong_defaults(schema: &mut Value, path: &mut Vec<String>, warnings: &mut Warnings) {
    let Some(members) = schema.as_object_mut() else { return };
    for_each_inside(members, &mut |name, inner| {
        path.push(name.to_owned());
        drop_wrong_defaults(inner, path, warnings);
        path.pop();
    });
    drop_met(members);
    let Some(default) = members.remove("default") else { return };
    match judge::default_fault(schema, &default) {
        Some(fault) => warnings.add(path, &format!("the default of values.schema.json is left out: {fault}")),
        None => schema["default"] = default,
    }
}

/// Everywhere: see [`drop_met`].
pub(super) fn drop_met_everywhere(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    for_each_inside(members, &mut |_, inner| drop_met_everywhere(inner));
    drop_met(members);
}

/// A field with a default is always there, so that requiring it says nothing; but `{}` could be no default above it.
pub(super) fn drop_met(schema: &mut Map<String, Value>) {
    let Some(Value::Array(mut required)) = schema.remove("required") else { return };
    let field = |name: &Value| schema.get("properties")?.get(name.as_str()?);
    required.retain(|name| field(name).is_none_or(|field| field.get("default").is_none()));
    if !required.is_empty() {
        schema.insert("required".to_owned(), Value::Array(required));
    }
}

/// Requires a field unless it has a default: without it, the defaults inside of it would not be filled in.
pub(super) fn require_without_default(schema: &mut Value, name: &str) {
    let Some(members) = schema.as_object_mut() else { return };
    let has_default = members.get("properties").and_then(|fields| fields.get(name)?.get("default")).is_some();
    let required = members.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut().filter(|required| !has_default && !required.contains(&json!(name)))
    {
        required.push(json!(name));
    }
    drop_met(members);
}

/// Decodes what texts about fields have in the writing of HTML, such as `&reg;`: nobody reads them in a browser.
pub(super) fn decode_entities(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    for keyword in ["description", "title"] {
        if let Some(Value::String(text)) = members.get_mut(keyword) {
            *text = html_escape::decode_html_entities(text).into_owned();
        }
    }
    for_each_inside(members, &mut |_, inner| decode_entities(inner));
}

/// Fields that are required must be known: others are dropped, and nothing would be valid.
pub(super) fn know_required(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    for_each_inside(members, &mut |_, inner| know_required(inner));
    if members.contains_key("additionalProperties") || members.contains_key(PRESERVE) {
        return;
    }
    let Some(Value::Array(required)) = members.get("required").cloned() else { return };
    let properties = members.entry("properties").or_insert_with(|| json!({}));
    for name in required.iter().filter_map(Value::as_str) {
        if let Some(properties) = properties.as_object_mut() {
            properties.entry(name).or_insert_with(|| json!({PRESERVE: true}));
        }
    }
}

/// Visits the schemas directly inside of one, with their names there.
fn for_each_inside(members: &mut Map<String, Value>, visit: &mut dyn FnMut(&str, &mut Value)) {
    for (keyword, inner) in members.iter_mut() {
        match (keyword.as_str(), inner) {
            ("items", inner) => visit("[]", inner),
            ("additionalProperties", inner) => visit("*", inner),
            ("properties", Value::Object(fields)) => fields.iter_mut().for_each(|(name, field)| visit(name, field)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_given_up_and_told() {
        let mut warnings = Warnings::default();
        let mut schema = json!({"type": "object", "properties": {
            "n": {"type": "integer", "default": 1, "x-kubernetes-validations": [{"rule": "self."}]},
            "s": {"type": "string", "pattern": "^a$"}
        }});
        concede_all_but_defaults(&mut schema, &mut warnings);
        assert_eq!(schema["properties"]["n"], json!({"type": "integer", "default": 1}));
        assert_eq!(schema["properties"]["s"]["pattern"], "^a$", "only what has to go goes");
        assert_eq!(warnings.lines().len(), 1, "{warnings:?}");
    }

    #[test]
    fn a_default_that_is_no_value_goes_and_others_stay() {
        let mut warnings = Warnings::default();
        let mut schema = json!({"type": "object", "default": {"a": "x"}, "properties": {
            "a": {"type": "integer", "default": "x"}, "b": {"type": "integer", "default": 2}
        }});
        drop_wrong_defaults(&mut schema, &mut vec!["spec".to_owned()], &mut warnings);
        let left = json!({"a": {"type": "integer"}, "b": {"type": "integer", "default": 2}});
        assert_eq!(schema, json!({"type": "object", "properties": left}));
        assert_eq!(warnings.lines().len(), 2, "{warnings:?}");
    }

    #[test]
    fn an_empty_default_stays_where_all_that_is_required_has_a_default() {
        let mut warnings = Warnings::default();
        let mut schema = json!({"type": "object", "default": {}, "required": ["a"], "properties": {
            "a": {"type": "object", "default": {}, "required": ["b"], "properties": {
                "b": {"type": "integer", "default": 1}
            }}
        }});
        drop_wrong_defaults(&mut schema, &mut vec!["spec".to_owned()], &mut warnings);
        assert_eq!((&schema["default"], &schema["properties"]["a"]["default"]), (&json!({}), &json!({})));
        assert!(warnings.lines().is_empty(), "{warnings:?}");
    }

    #[test]
    fn a_field_without_a_default_is_required() {
        let required = |field: Value| {
            let mut schema = json!({"type": "object", "properties": {"spec": field}});
            require_without_default(&mut schema, "spec");
            schema.get("required").cloned()
        };
        assert_eq!(required(json!({"type": "object", "required": ["a"]})), Some(json!(["spec"])));
        assert_eq!(required(json!({"type": "object", "default": {}})), None);
    }

    #[test]
    fn texts_have_no_entities() {
        let text = "Redis&reg; &amp; &#169; &#xAE; &lt;name&gt; &nothing; a&b=c&region=d; &copy";
        let field = |text: &str| {
            let items = json!({"type": "object", "additionalProperties": {"type": "string", "title": text}});
            json!({"type": "array", "default": [text], "description": text, "items": items})
        };
        let mut schema = json!({"type": "object", "properties": {"f": field(text)}});
        decode_entities(&mut schema);
        let mut wanted = field("Redis® & © ® <name> &nothing; a&b=c&region=d; &copy");
        wanted["default"] = json!([text]);
        assert_eq!(schema["properties"]["f"], wanted);
    }

    #[test]
    fn required_fields_have_no_default_and_are_known() {
        let mut schema = json!({"type": "object", "required": ["a", "b", "c"], "properties": {
            "a": {"type": "integer", "default": 1}, "b": {"type": "integer"}
        }});
        drop_met_everywhere(&mut schema);
        know_required(&mut schema);
        assert_eq!(schema["required"], json!(["b", "c"]));
        assert_eq!(schema["properties"]["c"], json!({PRESERVE: true}));
        assert_eq!(judge::schema_fault(&schema), None);
    }
}
