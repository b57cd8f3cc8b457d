//! A value that an expression computes from an object, for a cell of a table.

use std::sync::Arc;

use serde_json::{Number, Value as Json};

use crate::cel::declare::{self, Place};
use crate::structural::node::Node;
use kindsmith_cel::check::{Environment, check};
use kindsmith_cel::declared::Declared;
use kindsmith_cel::plan::Program;
use kindsmith_cel::print_timestamp;
use kindsmith_cel::value::Value;

/// What one cell may cost. A list of a thousand objects then costs less than the rules of one may.
const CELL_COST_MAX: u64 = 10_000;

/// The name of the object in the expression.
const SELF: &str = "self";

/// An expression over an object.
#[derive(Debug, Clone)]
pub(crate) struct Computed {
    text: String,
    program: Arc<Program>,
    declared: Arc<Declared>,
}

impl PartialEq for Computed {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Computed {
    /// Compiles `text` over resources of the schema `root`.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub(crate) fn compile(text: &str, root: &Node) -> Result<Self, String> {
        Self::compile_over(SELF, text, root, Place::Resource)
    }

    /// Compiles `text` over objects of the schema `root` that it knows by the name `variable`.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub(crate) fn compile_over(variable: &str, text: &str, root: &Node, place: Place) -> Result<Self, String> {
        let declared = declare::from_schema(root, place)
            .ok_or_else(|| "the schema has nothing that an expression could see".to_owned())?;
        let checked = check(text, &[(variable, declared.cel_type(variable))], Environment::kubernetes())
            .map_err(|error| format!("compilation failed: {error}"))?;
        let program = Program::new(&checked, &[variable]).map_err(|error| format!("compilation failed: {error}"))?;
        Ok(Self { text: text.to_owned(), program: Arc::new(program), declared })
    }

    /// The value for an object; none where the expression has none, fails, or costs too much.
    pub(crate) fn value(&self, object: &Json) -> Option<Json> {
        let object = Value::from_json(object, &self.declared).ok()?;
        let (outcome, _) = self.program.evaluate(&[Ok(object)], CELL_COST_MAX);
        json(&outcome.ok()?)
    }
}

fn json(value: &Value<'_>) -> Option<Json> {
    Some(match value {
        Value::Null | Value::Optional(None) => return None,
        Value::Optional(Some(value)) => return json(value),
        Value::Bool(value) => Json::from(*value),
        Value::Int(value) => Json::from(*value),
        Value::Uint(value) => Json::from(*value),
        Value::Double(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
        Value::Timestamp(at) => Json::from(print_timestamp(*at)),
        other => Json::from(other.print()),
    })
}
