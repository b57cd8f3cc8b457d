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

    /// Whether the answers say the same, if the order of causes does not count.
    pub(super) fn is_same_in_another_order(&self, other: &Answer) -> bool {
        let (Verdict::Invalid(ours), Verdict::Invalid(theirs)) = (&self.verdict, &other.verdict) else { return false };
        let sorted = |causes: &[Cause]| {
            let mut causes = causes.to_vec();
            causes.sort();
            causes
        };
        self.warnings == other.warnings && self.strict == other.strict && sorted(ours) == sorted(theirs)
    }
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
