//! Quantities (k8s.io/apiserver/pkg/cel/library/quantity.go, apimachinery/pkg/api/resource).
//!
//! How a quantity is written back is not to be seen in expressions: there is no conversion to a string.

use std::cmp::Ordering;
use std::sync::Arc;

use super::arguments::{exactly, int, quantity, sign, string};
use super::decimal::Decimal;
use crate::overload::Overload;
use crate::types::Type;
use crate::value::{EvalError, Opaque, Value};

/// The finest scale, in powers of ten; smaller parts are rounded up (`resource.Nano`).
const NANO: i32 = -9;

/// So many digits always fit an `i64` (`maxInt64Factors`).
const DIGITS_SMALL: i64 = 18;

/// A quantity: as cel-go sees it a small one is an integer more easily than a large one of the same value.
#[derive(Debug, Clone)]
pub struct Quantity(Amount);

#[derive(Debug, Clone)]
enum Amount {
    /// `value × 10^scale` (`int64Amount`).
    Small { value: i64, scale: i32 },
    /// What does not fit (`infDecAmount`).
    Large(Decimal),
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.order(other) == Ordering::Equal
    }
}

/// What a suffix means.
enum Suffix {
    Decimal(i32),
    Binary(u32),
}

impl Quantity {
    /// Reads a quantity (`resource.ParseQuantity`).
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let Written { negative, number, whole, fraction, suffix } = Written::split(text)?;
        let suffix = suffix_of(suffix).ok_or("unable to parse quantity's suffix")?;
        let numeric = "unable to parse numeric part of quantity";
        let digits = i64::try_from(whole.len() + fraction.len()).map_err(|_| numeric)?;
        let (room, scale, factor) = match suffix {
            Suffix::Decimal(exponent) => (DIGITS_SMALL - digits, exponent, 1),
            Suffix::Binary(bits) if fraction.is_empty() => (14 - digits - i64::from(bits) * 3 / 10, 0, 1i64 << bits),
            Suffix::Binary(_) => (-1, 0, 1),
        };
        if room >= 0 {
            let scale = scale.wrapping_sub(i32::try_from(fraction.len()).map_err(|_| numeric)?);
            if scale >= NANO {
                let value: i64 = format!("{whole}{fraction}").parse().map_err(|_| numeric)?;
                if let Some(value) = value.checked_mul(factor) {
                    return Ok(Self(Amount::Small { value: if negative { -value } else { value }, scale }));
                }
            }
        }
        let mut amount = Decimal::parse(number).ok_or(numeric)?;
        match suffix {
            Suffix::Decimal(exponent) => {
                let scale = amount.scale().wrapping_add(exponent.wrapping_neg());
                amount = amount.with_scale(scale);
            }
            Suffix::Binary(bits) => amount = amount.times(1 << bits),
        }
        if amount.sign() != 0 {
            amount = amount.round_up(-NANO).ok_or(numeric)?;
        }
        let max = Decimal::new(i64::MAX, 0);
        if matches!(suffix, Suffix::Binary(_)) && amount.order(&max) == Ordering::Greater {
            amount = max;
        }
        Ok(Self(Amount::Large(if negative { amount.negated() } else { amount })))
    }

    fn decimal(&self) -> Decimal {
        match &self.0 {
            Amount::Small { value, scale } => Decimal::new(*value, scale.wrapping_neg()),
            Amount::Large(amount) => amount.clone(),
        }
    }

    fn order(&self, other: &Self) -> Ordering {
        self.decimal().order(&other.decimal())
    }

    fn sign(&self) -> i64 {
        match &self.0 {
            Amount::Small { value, .. } => value.signum(),
            Amount::Large(amount) => amount.sign(),
        }
    }

    /// The whole number that it is, if it is a small one (`AsInt64`).
    fn integer(&self) -> Option<i64> {
        match &self.0 {
            Amount::Small { value, scale } => up(*value, u32::try_from(*scale).ok()?),
            Amount::Large(_) => None,
        }
    }

    /// `AsApproximateFloat64`.
    fn float(&self) -> f64 {
        let (base, exponent) = match &self.0 {
            #[allow(clippy::cast_precision_loss, reason = "approximate by name")]
            Amount::Small { value, scale } => (*value as f64, *scale),
            Amount::Large(amount) => (amount.unscaled(), amount.scale().wrapping_neg()),
        };
        if exponent == 0 { base } else { base * power_of_ten(exponent) }
    }

    fn plus(&self, other: &Self) -> Result<Self, EvalError> {
        self.small_sum(other, |value| value).map_or_else(|| self.large_sum(&other.decimal()), Ok)
    }

    fn minus(&self, other: &Self) -> Result<Self, EvalError> {
        self.small_sum(other, i64::wrapping_neg).map_or_else(|| self.large_sum(&other.decimal().negated()), Ok)
    }

    fn small_sum(&self, other: &Self, change: fn(i64) -> i64) -> Option<Self> {
        let (Amount::Small { value: a, scale: m }, Amount::Small { value: b, scale: n }) = (&self.0, &other.0) else {
            return None;
        };
        let (value, scale) = add_small((*a, *m), (change(*b), *n))?;
        Some(Self(Amount::Small { value, scale }))
    }

    fn large_sum(&self, other: &Decimal) -> Result<Self, EvalError> {
        let sum = self.decimal().plus(other);
        sum.map(|sum| Self(Amount::Large(sum))).ok_or_else(|| EvalError::failed("quantity out of range"))
    }
}

/// `int64Amount.Add`; `None` if it overflows.
fn add_small(a: (i64, i32), b: (i64, i32)) -> Option<(i64, i32)> {
    if b.0 == 0 {
        return Some(a);
    }
    if a.0 == 0 {
        return Some(b);
    }
    let (fine, coarse) = if a.1 <= b.1 { (a, b) } else { (b, a) };
    let raised = up(coarse.0, u32::try_from(i64::from(coarse.1) - i64::from(fine.1)).ok()?)?;
    Some((fine.0.checked_add(raised)?, fine.1))
}

/// `value × 10^scale`, if it fits.
fn up(value: i64, scale: u32) -> Option<i64> {
    if value == 0 { Some(0) } else { value.checked_mul(10i64.checked_pow(scale)?) }
}

/// Go's `math.Pow10`, to the last bit: products of table entries.
fn power_of_ten(exponent: i32) -> f64 {
    let exact = |exponent: i32| format!("1e{exponent}").parse().unwrap_or(f64::NAN);
    match exponent {
        0..=308 => exact(exponent / 32 * 32) * exact(exponent % 32),
        -323..0 => exact(exponent / 32 * 32) / exact(-exponent % 32),
        ..-323 => 0.0,
        309.. => f64::INFINITY,
    }
}

/// The parts of a quantity's text.
struct Written<'t> {
    negative: bool,
    /// The digits and the dot.
    number: &'t str,
    /// Before the dot, without leading zeroes; `0` for none.
    whole: &'t str,
    /// After the dot.
    fraction: &'t str,
    suffix: &'t str,
}

impl<'t> Written<'t> {
    /// `parseQuantityString`.
    fn split(text: &'t str) -> Result<Self, &'static str> {
        let wrong = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        if text.is_empty() {
            return Err(wrong);
        }
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let digits_end = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let significant = unsigned.trim_start_matches('0');
        let (whole, after) = significant.split_at(digits_end(significant));
        let (fraction, suffix) = match after.strip_prefix('.') {
            Some(after) => after.split_at(digits_end(after)),
            None => ("", after),
        };
        let number = &unsigned[..unsigned.len() - suffix.len()];
        let after_letters = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
        let exponent = after_letters.strip_prefix(['-', '+']).unwrap_or(after_letters);
        if !exponent.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong);
        }
        Ok(Self { negative, number, whole: if whole.is_empty() { "0" } else { whole }, fraction, suffix })
    }
}

/// `suffixHandler.interpret`.
fn suffix_of(suffix: &str) -> Option<Suffix> {
    Some(match suffix {
        "n" => Suffix::Decimal(-9),
        "u" => Suffix::Decimal(-6),
        "m" => Suffix::Decimal(-3),
        "" => Suffix::Decimal(0),
        "k" => Suffix::Decimal(3),
        "M" => Suffix::Decimal(6),
        "G" => Suffix::Decimal(9),
        "T" => Suffix::Decimal(12),
        "P" => Suffix::Decimal(15),
        "E" => Suffix::Decimal(18),
        "Ki" => Suffix::Binary(10),
        "Mi" => Suffix::Binary(20),
        "Gi" => Suffix::Binary(30),
        "Ti" => Suffix::Binary(40),
        "Pi" => Suffix::Binary(50),
        "Ei" => Suffix::Binary(60),
        other => {
            let exponent: i64 = other.strip_prefix(['e', 'E'])?.parse().ok()?;
            // Go keeps the low 32 bits.
            #[allow(clippy::cast_possible_truncation, reason = "as in Go")]
            Suffix::Decimal(exponent as i32)
        }
    })
}

/// The library's functions.
pub(crate) fn overloads() -> Vec<Overload> {
    let q = || Type::Opaque("kubernetes.Quantity");
    let global = Overload::global;
    let receiver = Overload::receiver;
    vec![
        global(
            "quantity",
            "string_to_quantity",
            vec![Type::String],
            q(),
            Some(|args| {
                let [text] = exactly(args)?;
                Quantity::parse(string(text)?).map(value).map_err(EvalError::failed)
            }),
        ),
        global(
            "isQuantity",
            "is_quantity_string",
            vec![Type::String],
            Type::Bool,
            Some(|args| {
                let [text] = exactly(args)?;
                Ok(Value::Bool(Quantity::parse(string(text)?).is_ok()))
            }),
        ),
        global(
            "sign",
            "quantity_sign",
            vec![q()],
            Type::Int,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::Int(quantity(of)?.sign()))
            }),
        ),
        receiver(
            "isGreaterThan",
            "quantity_is_greater_than",
            vec![q(), q()],
            Type::Bool,
            Some(|args| Ok(Value::Bool(order(args)? == Ordering::Greater))),
        ),
        receiver(
            "isLessThan",
            "quantity_is_less_than",
            vec![q(), q()],
            Type::Bool,
            Some(|args| Ok(Value::Bool(order(args)? == Ordering::Less))),
        ),
        receiver("compareTo", "quantity_compare_to", vec![q(), q()], Type::Int, Some(|args| Ok(sign(order(args)?)))),
        receiver(
            "asApproximateFloat",
            "quantity_get_float",
            vec![q()],
            Type::Double,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::Double(quantity(of)?.float()))
            }),
        ),
        receiver(
            "asInteger",
            "quantity_get_int",
            vec![q()],
            Type::Int,
            Some(|args| {
                let [of] = exactly(args)?;
                let integer = quantity(of)?.integer();
                integer.map(Value::Int).ok_or_else(|| EvalError::failed("cannot convert value to integer"))
            }),
        ),
        receiver(
            "isInteger",
            "quantity_is_integer",
            vec![q()],
            Type::Bool,
            Some(|args| {
                let [of] = exactly(args)?;
                Ok(Value::Bool(quantity(of)?.integer().is_some()))
            }),
        ),
        receiver(
            "add",
            "quantity_add",
            vec![q(), q()],
            q(),
            Some(|args| {
                let [left, right] = exactly(args)?;
                quantity(left)?.plus(quantity(right)?).map(value)
            }),
        ),
        receiver(
            "add",
            "quantity_add_int",
            vec![q(), Type::Int],
            q(),
            Some(|args| {
                let [left, right] = exactly(args)?;
                quantity(left)?.plus(&whole(int(right)?)).map(value)
            }),
        ),
        receiver(
            "sub",
            "quantity_sub",
            vec![q(), q()],
            q(),
            Some(|args| {
                let [left, right] = exactly(args)?;
                quantity(left)?.minus(quantity(right)?).map(value)
            }),
        ),
        receiver(
            "sub",
            "quantity_sub_int",
            vec![q(), Type::Int],
            q(),
            Some(|args| {
                let [left, right] = exactly(args)?;
                quantity(left)?.minus(&whole(int(right)?)).map(value)
            }),
        ),
    ]
}

fn order(args: &[Value<'_>]) -> Result<Ordering, EvalError> {
    let [left, right] = exactly(args)?;
    Ok(quantity(left)?.order(quantity(right)?))
}

fn whole(value: i64) -> Quantity {
    Quantity(Amount::Small { value, scale: 0 })
}

fn value<'a>(quantity: Quantity) -> Value<'a> {
    Value::Opaque(Opaque::Quantity(Arc::new(quantity)))
}
