//! Bounds of numbers.
//!
//! Follows `numberValidator` in kube-openapi/pkg/validation/validate/{validator,values}.go: integers are compared as
//! integers, and a bound that does not fit the type is an error of every value.

use kindsmith_text::print;
use serde_json::{Number, Value};

use super::bounds::Work;
use super::node::{Node, Type};
use super::outcome::{Outcome, Report};
use super::trail::Trail;
use crate::field::FieldPath;

/// The largest integer that JSON numbers represent exactly, 2^53 - 1.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// How far from an integer a float may be and still be one, relatively.
const INTEGER_TOLERANCE: f64 = 1e-9;

/// Where 64-bit integers end, 2^63.
const INTEGER_END: f64 = 9_223_372_036_854_775_808.0;

/// A number as Kubernetes decodes it.
#[derive(Clone, Copy)]
pub(super) enum Num {
    Int(i64),
    Float(f64),
}

impl Num {
    /// The number that was decoded; what does not fit a 64-bit integer is a float.
    pub(super) fn of(number: &Number) -> Self {
        match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Self::Int(int),
            (None, float) => Self::Float(float.unwrap_or(f64::MAX)),
        }
    }

    /// Whether it is an integer, however written.
    pub(super) fn is_whole(self) -> bool {
        match self {
            Self::Int(_) => true,
            Self::Float(float) => is_whole(float),
        }
    }

    /// Whether it is `choice`, after a conversion to the kind of number that this one is.
    pub(super) fn is_choice(self, choice: Self) -> bool {
        match (self, choice) {
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Int(b)) => a.abs() < INTEGER_END && truncated(a) == b,
            (a, Self::Float(b)) => a.as_float().total_cmp(&b).is_eq(),
        }
    }

    /// As a float; the loss beyond 2^53 is Kubernetes' own.
    fn as_float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }

    fn is_int32(self) -> bool {
        matches!(self, Self::Int(int) if i32::try_from(int).is_ok())
    }

    /// Whether it is an integer, however written, that has 31 bits.
    fn is_small(self) -> bool {
        const SMALL_END: f64 = 2_147_483_648.0;
        self.is_whole() && self.as_float().abs() < SMALL_END
    }

    fn value(self) -> Value {
        match self {
            Self::Int(int) => Value::from(int),
            Self::Float(float) => Value::from(float),
        }
    }

    fn plain(self) -> String {
        match self {
            Self::Int(int) => int.to_string(),
            Self::Float(float) => print::plain_float(float),
        }
    }

    fn shown(self) -> String {
        match self {
            Self::Int(int) => int.to_string(),
            Self::Float(float) => print::float(float),
        }
    }

    /// The number and a bound as they are compared: as integers, where the bound fits an integer.
    fn with_bound(self, bound: f64, fits: Fits) -> (Self, Self) {
        match (self, fits) {
            (Self::Int(_), Fits::Yes) => (self, Self::Int(truncated(bound))),
            _ => (Self::Float(self.as_float()), Self::Float(bound)),
        }
    }

    fn compare(self, bound: Self) -> Option<std::cmp::Ordering> {
        match (self, bound) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (a, b) => a.as_float().partial_cmp(&b.as_float()),
        }
    }
}

/// Whether a bound is a value of the type it bounds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fits {
    Yes,
    No,
}

/// Towards zero, as Kubernetes does.
fn truncated(bound: f64) -> i64 {
    bound as i64
}

/// `IsFloat64AJSONInteger` of go-openapi/swag.
fn is_whole(float: f64) -> bool {
    if !float.is_finite() || float.abs() > EXACT_INTEGER_MAX {
        return false;
    }
    let rounded = float.round();
    float.to_bits() == rounded.to_bits()
        || (float - rounded).abs() == 0.0
        || (rounded != 0.0 && (float - rounded).abs() < INTEGER_TOLERANCE * rounded.abs())
}

/// Whether `check` finds nothing.
pub(super) fn is_within(schema: &Node, num: Num) -> bool {
    let (base, work) = (FieldPath::root(), Work::default());
    check(Report::below(&base, &work), schema, num, Trail::Root).is_valid()
}

/// Checks the range of the type and the bounds of the schema.
pub(super) fn check(report: Report<'_>, schema: &Node, num: Num, trail: Trail<'_>) -> Outcome {
    let mut outcome = Outcome::passed();
    let bounds = &schema.bounds;
    in_range(report, &mut outcome, schema, num, "Checked", trail);
    if let Some(factor) = bounds.multiple_of {
        let fits = in_range(report, &mut outcome, schema, Num::Float(factor), "MultipleOf", trail);
        let (num, factor) = num.with_bound(factor, fits);
        multiple(report, &mut outcome, num, factor, trail);
    }
    if let Some(minimum) = bounds.minimum {
        let fits = in_range(report, &mut outcome, schema, Num::Float(minimum), "Minimum boundary", trail);
        let (num, bound) = num.with_bound(minimum, fits);
        let words = if bounds.exclusive_minimum { "greater than" } else { "greater than or equal to" };
        let broken = match num.compare(bound) {
            Some(order) => order.is_lt() || (bounds.exclusive_minimum && order.is_eq()),
            None => false,
        };
        if broken {
            report.broken(&mut outcome, trail, &num.value(), &format!("should be {words} {}", bound.shown()));
        }
    }
    if let Some(maximum) = bounds.maximum {
        let fits = in_range(report, &mut outcome, schema, Num::Float(maximum), "Maximum boundary", trail);
        let (num, bound) = num.with_bound(maximum, fits);
        let words = if bounds.exclusive_maximum { "less than" } else { "less than or equal to" };
        let broken = match num.compare(bound) {
            Some(order) => order.is_gt() || (bounds.exclusive_maximum && order.is_eq()),
            None => false,
        };
        if broken {
            report.broken(&mut outcome, trail, &num.value(), &format!("should be {words} {}", bound.shown()));
        }
    }
    outcome
}

fn multiple(report: Report<'_>, outcome: &mut Outcome, num: Num, factor: Num, trail: Trail<'_>) {
    let whole = match (num, factor) {
        (_, Num::Int(..=0)) => return report.bad_factor(outcome, trail, &factor.value()),
        (_, Num::Float(float)) if float <= 0.0 => return report.bad_factor(outcome, trail, &factor.value()),
        (Num::Int(int), Num::Int(factor)) => int.checked_rem(factor) == Some(0),
        (num, factor) => {
            let (value, factor) = (num.as_float(), factor.as_float());
            is_whole(if factor < 1.0 { 1.0 / factor * value } else { value / factor })
        }
    };
    if !whole {
        report.broken(outcome, trail, &num.value(), &format!("should be a multiple of {}", factor.shown()));
    }
}

/// `IsValueValidAgainstRange`: `subject` is what the number is to the schema.
fn in_range(
    report: Report<'_>,
    outcome: &mut Outcome,
    schema: &Node,
    num: Num,
    subject: &str,
    trail: Trail<'_>,
) -> Fits {
    let [kind] = schema.types[..] else { return Fits::Yes };
    let format = schema.format.as_deref().map_or("", super::format::Format::text);
    let fits = match (kind, format) {
        (Type::Integer, "int32") if matches!(num, Num::Int(_)) => num.is_int32(),
        (Type::Integer, _) if matches!(num, Num::Int(_)) => true,
        // Bounds are floats, mostly whole and small: those need not be written out.
        (Type::Integer, "int32") => num.is_small() || num.plain().parse::<i32>().is_ok(),
        (Type::Integer, _) => num.is_small() || num.plain().parse::<i64>().is_ok(),
        (Type::Number, "float") => is_single(num.as_float()),
        _ => true,
    };
    if fits {
        return Fits::Yes;
    }
    let how = if format.is_empty() { "(default format)".to_owned() } else { format!("with format {format}") };
    let path = trail.in_body();
    report.untied(outcome, format!("{subject} value must be of type {} {how} in {path}", kind.name()));
    Fits::No
}

/// Whether a number is in the range of a 32-bit float.
fn is_single(float: f64) -> bool {
    (float as f32).is_finite()
}
