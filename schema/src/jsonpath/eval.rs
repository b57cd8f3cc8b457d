//! From the steps of a path and a value to what they find, after `k8s.io/client-go/util/jsonpath/jsonpath.go`.

use std::borrow::Cow;

use serde_json::Value;

use super::compare::holds;
use super::{Action, MissingKeys, Node, Slice, SliceEnd};

/// How many values one evaluation visits at most.
pub const VISITS_MAX: usize = 100_000;

/// Why a path does not fit a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A field that is not there, with [`MissingKeys::Error`].
    #[error("{0} is not found")]
    Missing(String),
    /// An index or a filter on something else than an array.
    #[error("{0} is not array or slice")]
    NotAnArray(&'static str),
    /// An index out of bounds.
    #[error("array index out of bounds: index {index}, length {length}")]
    OutOfBounds {
        /// The index.
        index: i64,
        /// The length of the array.
        length: i64,
    },
    /// A slice that ends before it starts.
    #[error("starting index {start} is greater than ending index {end}")]
    Backwards {
        /// The first index.
        start: i64,
        /// The index after the last.
        end: i64,
    },
    /// A step of zero or less.
    #[error("step must be > 0")]
    Step,
    /// A word that is no step.
    #[error("unrecognized identifier {0}")]
    Identifier(String),
    /// One side of a comparison found several values.
    #[error("can only compare one element at a time")]
    ManyElements,
    /// A comparison with null, an object or an array, or an ordering of booleans.
    #[error("invalid type for comparison")]
    NotComparable,
    /// A comparison of different types.
    #[error("incompatible types for comparison")]
    Incompatible,
    /// Something like `=` or `<>`.
    #[error("unrecognized filter operator {0}")]
    UnknownOperator(String),
    /// More than [`VISITS_MAX`] values were visited.
    #[error("the path visits more than {VISITS_MAX} values")]
    TooMuchWork,
}

impl EvalError {
    /// Whether an existence filter counts the error as a result: client-go hands out its input with most errors, so
    /// that `[?(@.list[9])]` holds for a short list.
    fn exists(&self) -> bool {
        !matches!(self, Self::Missing(_))
    }
}

type Found<'a> = Vec<Cow<'a, Value>>;

/// One evaluation with what it may still spend.
pub(super) struct Evaluation {
    missing: MissingKeys,
    visits_left: usize,
}

impl Evaluation {
    pub(super) fn new(missing: MissingKeys) -> Self {
        Self { missing, visits_left: VISITS_MAX }
    }

    /// The results of the first action, if all of them succeed.
    pub(super) fn run<'a>(&mut self, actions: &[Action], value: &'a Value) -> Result<Found<'a>, EvalError> {
        let mut first = None;
        for action in actions {
            let found = match action {
                Action::Text(text) => vec![Cow::Owned(Value::from(text.as_str()))],
                Action::Path(nodes) => self.list(vec![Cow::Borrowed(value)], nodes)?,
            };
            first.get_or_insert(found);
        }
        Ok(first.unwrap_or_default())
    }

    fn spend(&mut self, visits: usize) -> Result<(), EvalError> {
        self.visits_left = self.visits_left.checked_sub(visits).ok_or(EvalError::TooMuchWork)?;
        Ok(())
    }

    fn list<'a>(&mut self, input: Found<'a>, nodes: &[Node]) -> Result<Found<'a>, EvalError> {
        nodes.iter().try_fold(input, |values, node| {
            self.spend(values.len())?;
            self.step(values, node)
        })
    }

    fn step<'a>(&mut self, input: Found<'a>, node: &Node) -> Result<Found<'a>, EvalError> {
        let constant = |value: Value| vec![Cow::Owned(value); input.len()];
        match node {
            Node::Text(text) => Ok(vec![Cow::Owned(Value::from(text.as_str()))]),
            Node::Int(int) => Ok(constant(Value::from(*int))),
            Node::Float(float) => Ok(constant(Value::from(*float))),
            Node::Bool(bool) => Ok(constant(Value::from(*bool))),
            Node::Identifier(name) => Err(EvalError::Identifier(name.clone())),
            Node::Field(name) => self.field(&input, name),
            Node::Slice(slice) => self.slice(&input, *slice),
            Node::Wildcard => self.wildcard(&input),
            Node::Recursive => {
                let mut found = Vec::new();
                input.into_iter().try_for_each(|value| self.descend(value, &mut found))?;
                Ok(found)
            }
            Node::Union(members) => {
                let mut found = Vec::new();
                for member in members {
                    found.extend(self.list(input.clone(), member)?);
                }
                Ok(found)
            }
            Node::Exists(path) => self.filter(&input, |this, item| match this.list(vec![item], path) {
                Ok(found) => Ok(!found.is_empty()),
                Err(EvalError::TooMuchWork) => Err(EvalError::TooMuchWork),
                Err(error) => Ok(error.exists()),
            }),
            Node::Compare { left, operator, right } => self.filter(&input, |this, item| {
                let left = this.list(vec![item.clone()], left)?;
                let Some(left) = one(&left)? else { return Ok(false) };
                let right = this.list(vec![item], right)?;
                let Some(right) = one(&right)? else { return Ok(false) };
                holds(left, operator, right)
            }),
        }
    }

    fn field<'a>(&self, input: &[Cow<'a, Value>], name: &str) -> Result<Found<'a>, EvalError> {
        let found: Found<'a> =
            input.iter().filter_map(|v| borrowed(v)?.as_object()?.get(name)).map(Cow::Borrowed).collect();
        match self.missing {
            MissingKeys::Error if found.is_empty() && !input.is_empty() => Err(EvalError::Missing(name.to_owned())),
            _ => Ok(found),
        }
    }

    fn slice<'a>(&mut self, input: &[Cow<'a, Value>], slice: Slice) -> Result<Found<'a>, EvalError> {
        let mut found = Vec::new();
        for value in input.iter().filter(|value| !value.is_null()) {
            let items = array(value)?;
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let from_back = |index: i64| if index < 0 { index + length } else { index };
            let start = from_back(slice.start.unwrap_or(0));
            let end = match slice.end {
                SliceEnd::Open | SliceEnd::AfterStart(0) => length,
                SliceEnd::At(end) | SliceEnd::AfterStart(end) => from_back(end),
            };
            if start == end {
                return Ok(found);
            }
            if !(0..length).contains(&start) {
                return Err(EvalError::OutOfBounds { index: start, length });
            }
            if !(0..=length).contains(&end) {
                return Err(EvalError::OutOfBounds { index: end - 1, length });
            }
            if start > end {
                return Err(EvalError::Backwards { start, end });
            }
            let step = slice.step.unwrap_or(1);
            let step = usize::try_from(step).ok().filter(|step| *step > 0).ok_or(EvalError::Step)?;
            let (start, end) = (usize::try_from(start).unwrap_or(0), usize::try_from(end).unwrap_or(0));
            let items = items.get(start..end).unwrap_or_default();
            self.spend(items.len())?;
            found.extend(items.iter().step_by(step).map(Cow::Borrowed));
        }
        Ok(found)
    }

    fn wildcard<'a>(&mut self, input: &[Cow<'a, Value>]) -> Result<Found<'a>, EvalError> {
        let mut found = Vec::new();
        for value in input {
            self.spend(size(value))?;
            match (borrowed(value), value.as_ref()) {
                (Some(Value::Object(fields)), _) => found.extend(fields.values().map(Cow::Borrowed)),
                (Some(Value::Array(items)), _) => found.extend(items.iter().map(Cow::Borrowed)),
                (_, Value::String(text)) => found.extend(text.bytes().map(|byte| Cow::Owned(Value::from(byte)))),
                _ => {}
            }
        }
        Ok(found)
    }

    /// The value and all values below that have values below, parents first. The depth is that of the document, which
    /// its decoder has bounded.
    fn descend<'a>(&mut self, value: Cow<'a, Value>, found: &mut Found<'a>) -> Result<(), EvalError> {
        if size(&value) == 0 {
            return Ok(());
        }
        self.spend(size(&value))?;
        let below: &'a Value = match value {
            Cow::Borrowed(below) => below,
            Cow::Owned(_) => {
                found.push(value);
                return Ok(());
            }
        };
        found.push(Cow::Borrowed(below));
        match below {
            Value::Object(fields) => fields.values().try_for_each(|v| self.descend(Cow::Borrowed(v), found)),
            Value::Array(items) => items.iter().try_for_each(|v| self.descend(Cow::Borrowed(v), found)),
            _ => Ok(()),
        }
    }

    fn filter<'a>(
        &mut self,
        input: &[Cow<'a, Value>],
        mut keeps: impl FnMut(&mut Self, Cow<'a, Value>) -> Result<bool, EvalError>,
    ) -> Result<Found<'a>, EvalError> {
        let mut found = Vec::new();
        for value in input {
            for item in array(value)? {
                self.spend(1)?;
                if keeps(self, Cow::Borrowed(item))? {
                    found.push(Cow::Borrowed(item));
                }
            }
        }
        Ok(found)
    }
}

/// A part of the document. What a path makes itself (text, numbers) is a scalar and has nothing below it.
fn borrowed<'a>(value: &Cow<'a, Value>) -> Option<&'a Value> {
    match value {
        Cow::Borrowed(value) => Some(value),
        Cow::Owned(_) => None,
    }
}

fn array<'a>(value: &Cow<'a, Value>) -> Result<&'a [Value], EvalError> {
    match borrowed(value) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(EvalError::NotAnArray(go_type(value))),
    }
}

/// How many values are directly below; Go counts the bytes of a string.
fn size(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields.len(),
        Value::Array(items) => items.len(),
        Value::String(text) => text.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn one<'v>(found: &'v [Cow<'_, Value>]) -> Result<Option<&'v Value>, EvalError> {
    match found {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(EvalError::ManyElements),
    }
}
