//! What an engine says, in a form in which two answers can be compared and printed.

use std::fmt;

use serde_json::{Number, Value};

/// One cause of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cause {
    /// Its machine-readable reason.
    pub(super) reason: String,
    /// The path of the field.
    pub(super) field: String,
    /// What is wrong with it.
    pub(super) message: String,
}

/// What becomes of what was sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// It is accepted, as this object.
    Accepted(Value),
    /// It is understood and refused (422).
    Invalid(Vec<Cause>),
    /// It is not understood (400).
    Malformed(String),
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// What becomes of what was sent.
    pub(super) verdict: Verdict,
    /// The warnings about unknown and duplicate fields.
    pub(super) warnings: Vec<String>,
    /// The error in their place, if the client wants one.
    pub(super) strict: Option<String>,
}

impl Answer {
    /// An answer without warnings.
    pub(super) fn of(verdict: Verdict) -> Answer {
        Answer { verdict, warnings: Vec::new(), strict: None }
    }

    /// Whether the answers say the same. kube-apiserver visits maps in random order, so causes in different fields of
    /// one object may come in any order; those of a field and of its parts, and of items of a list, may not.
    pub(super) fn agrees(&self, other: &Answer) -> bool {
        let (Verdict::Invalid(ours), Verdict::Invalid(theirs)) = (&self.verdict, &other.verdict) else {
            return self == other;
        };
        self.warnings == other.warnings && self.strict == other.strict && is_same_order(ours, theirs)
    }
}

/// Whether the causes are the same, and those whose order is told are in the same order.
fn is_same_order(ours: &[Cause], theirs: &[Cause]) -> bool {
    let mut taken = vec![false; theirs.len()];
    let mut positions = Vec::new();
    for cause in ours {
        let Some(at) = (0..theirs.len()).find(|i| !taken[*i] && theirs[*i] == *cause) else { return false };
        taken[at] = true;
        positions.push(at);
    }
    let is_kept = |i: usize, j: usize| positions[i] < positions[j] || is_free(&ours[i], &ours[j]);
    ours.len() == theirs.len() && (0..ours.len()).all(|j| (0..j).all(|i| is_kept(i, j)))
}

/// Whether two fields are visited in any order: they part at a name. Causes about alternatives do not tell their field.
fn is_free(one: &Cause, other: &Cause) -> bool {
    let is_placeless = |cause: &Cause| cause.message.starts_with("Invalid value: \"\": ");
    let is_forbidden = |cause: &Cause| cause.message.ends_with(" is a forbidden property");
    is_placeless(one)
        || is_placeless(other)
        || (is_forbidden(one) && is_forbidden(other))
        || is_sibling(&one.field, &other.field)
}

fn is_sibling(one: &str, other: &str) -> bool {
    let parts = |path: &str| path.replace('[', ".[").split('.').map(str::to_owned).collect::<Vec<_>>();
    let (one, other) = (parts(one), parts(other));
    let is_index = |part: &str| part.trim_matches(['[', ']']).parse::<usize>().is_ok();
    one.iter()
        .zip(&other)
        .find(|(one, other)| one != other)
        .is_some_and(|(one, other)| !is_index(one) || !is_index(other))
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Accepted(Value::Null) => f.write_str("accepted")?,
            Verdict::Accepted(object) => write!(f, "accepted as {object}")?,
            Verdict::Malformed(message) => write!(f, "malformed: {message}")?,
            Verdict::Invalid(causes) => {
                f.write_str("invalid")?;
                for Cause { reason, field, message } in causes {
                    write!(f, "\n      {reason} at {field}: {message}")?;
                }
            }
        }
        for warning in &self.warnings {
            write!(f, "\n      warning: {warning}")?;
        }
        if let Some(strict) = &self.strict {
            write!(f, "\n      strict: {strict}")?;
        }
        Ok(())
    }
}

/// The object without its metadata, with whole numbers as integers: how a float is written says nothing.
pub(super) fn comparable(mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.remove("metadata");
    }
    normalize(&mut object);
    object
}

fn normalize(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().unwrap_or_default();
            // Beyond 2^53 numbers are compared as floats.
            if float.abs() >= 9_007_199_254_740_992.0 {
                *number = Number::from_f64(float).unwrap_or_else(|| number.clone());
            } else if float.fract() == 0.0 {
                *number = Number::from(float as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalize),
        Value::Object(map) => map.values_mut().for_each(normalize),
        _ => {}
    }
}
