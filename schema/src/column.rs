//! A printer column: checked once, then one cell for each object.
//!
//! Cells follow `apiextensions-apiserver/pkg/registry/customresource/tableconvertor`, the checks follow
//! `ValidateCustomResourceColumnDefinition` in `pkg/apis/apiextensions/validation`. One check is stricter: a path that
//! does not parse is refused, where a CustomResourceDefinition is accepted and then prints a table without columns.

mod age;
mod gofmt;

use jiff::Timestamp;
use serde_json::{Number, Value};

use crate::cel::computed::Computed;
use crate::jsonpath::JsonPath;
use crate::structural::Schema;

/// What a column may be.
const TYPES: &str = "boolean,date,integer,number,string";

/// How the type may be refined.
const FORMATS: &[&str] = &["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

/// The description of `metadata.creationTimestamp`.
const AGE_DESCRIPTION: &str = "CreationTimestamp is a timestamp representing the server time when this object was \
    created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set \
    this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for \
    lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// What is wrong with a field of a column, with the words of kube-apiserver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// The field must be set.
    #[error("{field}: Required value{}{detail}", if detail.is_empty() { "" } else { ": " })]
    Required {
        /// The field, below the column.
        field: &'static str,
        /// What it must be; may be empty.
        detail: String,
    },
    /// The field has a value it cannot have.
    #[error("{field}: Invalid value: {value:?}: {detail}")]
    Invalid {
        /// The field, below the column.
        field: &'static str,
        /// Its value.
        value: String,
        /// Why it cannot be that.
        detail: String,
    },
}

/// The type of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColumnType {
    Boolean,
    Date,
    Integer,
    Number,
    String,
}

impl ColumnType {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "boolean" => Some(Self::Boolean),
            "date" => Some(Self::Date),
            "integer" => Some(Self::Integer),
            "number" => Some(Self::Number),
            "string" => Some(Self::String),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
        }
    }
}

/// A column that can print.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    name: String,
    kind: ColumnType,
    format: String,
    description: String,
    priority: i32,
    source: Source,
}

/// Where cells come from.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    Path(JsonPath),
    Expression(Computed),
}

/// What a column says of itself besides its heading and its type.
#[derive(Clone, Copy, Debug, Default)]
pub struct Details<'a> {
    /// The format.
    pub format: Option<&'a str>,
    /// What the column shows.
    pub description: Option<&'a str>,
    /// 0 for the standard view.
    pub priority: Option<i32>,
}

impl Column {
    /// Checks a column and parses its path. All that is wrong is reported.
    ///
    /// # Errors
    /// What kube-apiserver would refuse in a column.
    pub fn compile(name: &str, kind: &str, details: Details<'_>, json_path: &str) -> Result<Self, Vec<ColumnError>> {
        let source = parse_path(json_path).map(Source::Path);
        let description = format!("Custom resource definition column (in JSONPath format): {json_path}");
        Self::with(name, kind, details, source, description)
    }

    /// Checks a column whose cells an expression computes from objects of `schema`.
    ///
    /// # Errors
    /// What is wrong with the column, or with the expression.
    pub fn computed(
        name: &str,
        kind: &str,
        details: Details<'_>,
        expression: &str,
        schema: &Schema,
    ) -> Result<Self, Vec<ColumnError>> {
        let source = Computed::compile(expression, schema.root()).map(Source::Expression);
        let source =
            source.map_err(|detail| ColumnError::Invalid { field: "expression", value: expression.to_owned(), detail });
        Self::with(name, kind, details, source, format!("Computed column: {expression}"))
    }

    fn with(
        name: &str,
        kind: &str,
        details: Details<'_>,
        source: Result<Source, ColumnError>,
        description: String,
    ) -> Result<Self, Vec<ColumnError>> {
        let mut errors = Vec::new();
        if name.is_empty() {
            errors.push(ColumnError::Required { field: "name", detail: String::new() });
        }
        let types = || format!("must be one of {TYPES}");
        let column_type = ColumnType::parse(kind);
        if kind.is_empty() {
            errors.push(ColumnError::Required { field: "type", detail: types() });
        } else if column_type.is_none() {
            errors.push(ColumnError::Invalid { field: "type", value: kind.to_owned(), detail: types() });
        }
        let format = details.format.unwrap_or_default();
        if !format.is_empty() && !FORMATS.contains(&format) {
            let detail = format!("must be one of {}", FORMATS.join(","));
            errors.push(ColumnError::Invalid { field: "format", value: format.to_owned(), detail });
        }
        let source = source.map_err(|error| errors.push(error)).ok();
        match (column_type, source) {
            (Some(kind), Some(source)) if errors.is_empty() => Ok(Self {
                name: name.to_owned(),
                kind,
                format: format.to_owned(),
                description: match details.description {
                    Some(text) if !text.is_empty() => text.to_owned(),
                    _ => description,
                },
                priority: details.priority.unwrap_or_default(),
                source,
            }),
            _ => Err(errors),
        }
    }

    /// The column that is printed when a definition has none: the age.
    pub fn age() -> Self {
        Self {
            name: "Age".to_owned(),
            kind: ColumnType::Date,
            format: String::new(),
            description: AGE_DESCRIPTION.to_owned(),
            priority: 0,
            source: Source::Path(JsonPath::of_fields(
                ".metadata.creationTimestamp",
                &["metadata", "creationTimestamp"],
            )),
        }
    }

    /// The heading.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The column as a `TableColumnDefinition` of `meta.k8s.io/v1`.
    pub fn definition(&self) -> Value {
        serde_json::json!({
            "name": self.name,
            "type": self.kind.name(),
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }

    /// The cell of an object. Only the first result counts; null when there is none, or when it has another type.
    pub fn cell(&self, object: &Value, now: Timestamp) -> Value {
        match &self.source {
            Source::Path(path) => {
                path.find(object).first().map_or(Value::Null, |value| self.typed(value.as_ref(), now))
            }
            Source::Expression(expression) => {
                expression.value(object).map_or(Value::Null, |value| self.typed(&value, now))
            }
        }
    }

    fn typed(&self, value: &Value, now: Timestamp) -> Value {
        match (self.kind, value) {
            (ColumnType::String, value) => Value::String(gofmt::print(value)),
            (ColumnType::Boolean, Value::Bool(bool)) => Value::Bool(*bool),
            (ColumnType::Date, Value::String(date)) => Value::String(age::age(date, now)),
            (ColumnType::Integer, Value::Number(number)) => integer(number),
            (ColumnType::Number, Value::Number(number)) => number.as_f64().map_or(Value::Null, float),
            _ => Value::Null,
        }
    }
}

fn parse_path(path: &str) -> Result<JsonPath, ColumnError> {
    let field = "JSONPath";
    let invalid = |detail: String| ColumnError::Invalid { field, value: path.to_owned(), detail };
    if path.is_empty() {
        return Err(ColumnError::Required { field, detail: String::new() });
    }
    if !path.starts_with('.') {
        return Err(invalid("must be a simple json path starting with .".to_owned()));
    }
    JsonPath::parse(path).map_err(|error| invalid(format!("unrecognized column definition: {error}")))
}

/// A fraction is cut off.
#[expect(clippy::cast_possible_truncation, reason = "cutting off is what Go does")]
fn integer(number: &Number) -> Value {
    match (number.as_i64(), number.as_f64()) {
        (Some(int), _) => Value::from(int),
        (None, Some(float)) => Value::from(float as i64),
        (None, None) => Value::Null,
    }
}

/// Go encodes a whole float64 without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "only whole numbers in the range of an i64 are converted")]
fn float(float: f64) -> Value {
    const WHOLE_MAX: f64 = 9.0e18;
    if float.fract() == 0.0 && float.abs() < WHOLE_MAX { Value::from(float as i64) } else { Value::from(float) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn object() -> Value {
        json!({
            "metadata": {"creationTimestamp": "2026-01-01T11:55:00Z"},
            "spec": {"count": 3, "ratio": 2.75, "whole": 2.0, "on": true, "name": "x", "none": null, "ports": [1, 2]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}
        })
    }

    fn cell(kind: &str, path: &str) -> Value {
        let column = Column::compile("C", kind, Details::default(), path).unwrap();
        column.cell(&object(), "2026-01-01T12:00:00Z".parse().unwrap())
    }

    #[rstest]
    #[case("string", ".spec.name", json!("x"))]
    #[case("string", ".spec.count", json!("3"))]
    #[case("string", ".spec.on", json!("true"))]
    #[case("string", ".spec.ports", json!("[1,2]"))]
    #[case("string", ".spec.ports[*]", json!("1"))]
    #[case("string", ".spec.none", json!("<no value>"))]
    #[case("string", ".status.conditions[?(@.type==\"Ready\")].status", json!("True"))]
    #[case("string", ".status.conditions[?(@.type==\"Other\")].status", json!(null))]
    #[case("integer", ".spec.count", json!(3))]
    #[case("integer", ".spec.ratio", json!(2))]
    #[case("integer", ".spec.name", json!(null))]
    #[case("number", ".spec.ratio", json!(2.75))]
    #[case("number", ".spec.count", json!(3))]
    #[case("number", ".spec.whole", json!(2))]
    #[case("boolean", ".spec.on", json!(true))]
    #[case("boolean", ".spec.name", json!(null))]
    #[case("date", ".metadata.creationTimestamp", json!("5m"))]
    #[case("date", ".spec.name", json!("<invalid>"))]
    #[case("date", ".spec.count", json!(null))]
    #[case("date", ".metadata.deletionTimestamp", json!(null))]
    #[case("integer", ".spec.none", json!(null))]
    #[case("string", ".spec.ports[5]", json!(null))]
    #[case("string", ".spec.missing", json!(null))]
    fn cells_have_the_type_of_their_column_or_are_null(
        #[case] kind: &str,
        #[case] path: &str,
        #[case] expected: Value,
    ) {
        assert_eq!(cell(kind, path), expected, "{kind} {path}");
    }

    #[test]
    fn the_definition_describes_the_path_when_nothing_else_is_said() {
        let column = Column::compile(
            "Port",
            "integer",
            Details { format: Some("int32"), priority: Some(1), ..Details::default() },
            ".spec.port",
        )
        .unwrap();
        assert_eq!(
            column.definition(),
            json!({"name": "Port", "type": "integer", "format": "int32", "priority": 1,
                "description": "Custom resource definition column (in JSONPath format): .spec.port"})
        );
    }

    #[test]
    fn everything_wrong_is_reported_in_the_words_of_kube_apiserver() {
        let errors = |kind, format, path| {
            let details = Details { format, ..Details::default() };
            let errors = Column::compile("", kind, details, path).unwrap_err();
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            errors("", Some("uuid"), ""),
            [
                "name: Required value",
                "type: Required value: must be one of boolean,date,integer,number,string",
                "format: Invalid value: \"uuid\": must be one of \
                 byte,date,date-time,double,float,int32,int64,password",
                "JSONPath: Required value",
            ]
        );
        assert_eq!(
            errors("text", None, "spec"),
            [
                "name: Required value",
                "type: Invalid value: \"text\": must be one of boolean,date,integer,number,string",
                "JSONPath: Invalid value: \"spec\": must be a simple json path starting with .",
            ]
        );
        assert_eq!(
            errors("string", None, ".a[")[1],
            "JSONPath: Invalid value: \".a[\": unrecognized column definition: unterminated array"
        );
    }

    #[test]
    fn the_default_column_is_what_its_path_parses_to() {
        let parsed = JsonPath::parse(".metadata.creationTimestamp").unwrap();
        assert_eq!(Column::age().source, Source::Path(parsed));
    }
}
