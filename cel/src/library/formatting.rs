//! `format` of strings (cel-go's ext/formatting.go, with the locale en_US).

use super::arguments::count;
use crate::standard::Operation;
use crate::value::{EvalError, List, Map, Value};
use kindsmith_text::print::{float, quoted};

/// Digits behind the point, if none are asked for.
const PRECISION: usize = 6;

/// How many digits or how much width may be asked for. cel-go has no limit at this version.
const PRECISION_MAX: usize = 10_000;

/// How long the result may become, in bytes.
const RESULT_BYTES_MAX: usize = 64 << 20;

type Printed = Result<String, String>;

/// `text.format(args)`.
pub(super) fn format(text: &str, args: &List<'_>) -> Result<String, EvalError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut next = 0;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let Some(arg) = args.get(next) else {
            return Err(EvalError::failed(format!("index {} out of range", count(next))));
        };
        if after.is_empty() {
            return Err(EvalError::failed("unexpected end of string"));
        }
        let (clause, after) = Clause::parse(after)
            .map_err(|error| EvalError::failed(format!("could not parse formatting clause: {error}")))?;
        let printed = clause.print(&arg?);
        out.push_str(&printed.map_err(|error| EvalError::failed(format!("error during formatting: {error}")))?);
        if out.len() > RESULT_BYTES_MAX {
            return Err(EvalError::failed(format!("format: longer than {RESULT_BYTES_MAX} bytes")));
        }
        next += 1;
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// What follows a percent sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clause {
    Text,
    Decimal,
    Fixed(usize),
    /// What ought to be a precision is a width in cel-go.
    Scientific(usize),
    Binary,
    LowerHex,
    UpperHex,
    Octal,
}

impl Clause {
    /// The clause at the start of `text`, and what follows it.
    fn parse(text: &str) -> Result<(Self, &str), String> {
        let (precision, text) = match text.strip_prefix('.') {
            Some(after) => precision(after).map_err(|error| format!("error while parsing precision: {error}"))?,
            None => (None, text),
        };
        let clause = match text.as_bytes().first() {
            Some(b's') => Self::Text,
            Some(b'd') => Self::Decimal,
            Some(b'f') => Self::Fixed(precision.unwrap_or(PRECISION)),
            Some(b'e') => Self::Scientific(precision.unwrap_or(PRECISION)),
            Some(b'b') => Self::Binary,
            Some(b'x') => Self::LowerHex,
            Some(b'X') => Self::UpperHex,
            Some(b'o') => Self::Octal,
            other => {
                let other = char::from(other.copied().unwrap_or_default());
                return Err(format!("unrecognized formatting clause \"{other}\""));
            }
        };
        Ok((clause, &text[1..]))
    }

    fn print(self, value: &Value<'_>) -> Printed {
        let kind = value.type_name();
        match (self, value) {
            (Self::Text, value) => string(value),
            (Self::Decimal, value) => decimal(value),
            (Self::Fixed(precision), value) => double(value)
                .map(|value| fixed(value, precision))
                .ok_or_else(|| format!("fixed-point clause can only be used on doubles, was given {kind}")),
            (Self::Scientific(width), value) => double(value)
                .map(|value| scientific(value, width))
                .ok_or_else(|| format!("scientific clause can only be used on doubles, was given {kind}")),
            (Self::Binary, Value::Int(value)) => Ok(signed(*value, |size| format!("{size:b}"))),
            (Self::Binary, Value::Uint(value)) => Ok(format!("{value:b}")),
            (Self::Binary, Value::Bool(value)) => Ok(u8::from(*value).to_string()),
            (Self::Binary, _) => Err(format!("only integers and bools can be formatted as binary, was given {kind}")),
            (Self::Octal, Value::Int(value)) => Ok(signed(*value, |size| format!("{size:o}"))),
            (Self::Octal, Value::Uint(value)) => Ok(format!("{value:o}")),
            (Self::Octal, _) => Err(format!("octal clause can only be used on integers, was given {kind}")),
            (Self::LowerHex, value) => hexadecimal(value),
            (Self::UpperHex, value) => hexadecimal(value).map(|text| text.to_ascii_uppercase()),
        }
    }
}

/// The digits after a dot, as a number, and what follows them.
fn precision(text: &str) -> Result<(Option<usize>, &str), String> {
    let Some(end) = text.find(|c: char| !c.is_ascii_digit()) else {
        return Err("could not find end of precision specifier".to_owned());
    };
    let (digits, after) = text.split_at(end);
    let precision: i64 = digits.parse().map_err(|_| {
        let why = if digits.is_empty() { "invalid syntax" } else { "value out of range" };
        format!("error while converting precision to integer: strconv.Atoi: parsing {}: {why}", quoted(digits))
    })?;
    match usize::try_from(precision) {
        Ok(precision) if precision <= PRECISION_MAX => Ok((Some(precision), after)),
        _ => Err(format!("precision {precision} exceeds maximum allowed precision {PRECISION_MAX}")),
    }
}

/// A double, or the name of one that has no digits.
fn double(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Double(value) => Some(*value),
        value => match value.as_str()? {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
    }
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("∞"),
        f64::NEG_INFINITY => Some("-∞"),
        _ => None,
    }
}

/// With commas between thousands.
fn fixed(value: f64, precision: usize) -> String {
    if let Some(name) = special(value) {
        return name.to_owned();
    }
    let plain = format!("{value:.precision$}");
    let (sign, plain) = plain.strip_prefix('-').map_or(("", plain.as_str()), |plain| ("-", plain));
    let (whole, fraction) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut out = sign.to_owned();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

/// As in `1.5×10⁰³`.
fn scientific(value: f64, width: usize) -> String {
    let text = special(value).map_or_else(
        || {
            let plain = format!("{value:.PRECISION$e}");
            let (mantissa, exponent) = plain.split_once('e').unwrap_or((&plain, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(("", exponent), |exponent| ("⁻", exponent));
            let raised: String = format!("{exponent:0>2}").chars().map(superscript).collect();
            format!("{mantissa}×10{sign}{raised}")
        },
        str::to_owned,
    );
    format!("{text:>width$}")
}

fn superscript(digit: char) -> char {
    digit.to_digit(10).and_then(|digit| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit as usize)).unwrap_or(digit)
}

fn signed(value: i64, print: fn(u64) -> String) -> String {
    let size = print(value.unsigned_abs());
    if value < 0 { format!("-{size}") } else { size }
}

fn hexadecimal(value: &Value<'_>) -> Printed {
    let bytes = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    match value {
        Value::String(text) => Ok(bytes(text.as_str().as_bytes())),
        Value::Bytes(held) => Ok(bytes(held)),
        Value::Int(value) => Ok(signed(*value, |size| format!("{size:x}"))),
        Value::Uint(value) => Ok(format!("{value:x}")),
        other => Err(format!(
            "only integers, byte buffers, and strings can be formatted as hex, was given {}",
            other.type_name()
        )),
    }
}

fn decimal(value: &Value<'_>) -> Printed {
    match value {
        Value::Int(value) => Ok(value.to_string()),
        Value::Uint(value) => Ok(value.to_string()),
        other => Err(format!("decimal clause can only be used on integers, was given {}", other.type_name())),
    }
}

/// `FormatString`.
fn string(value: &Value<'_>) -> Printed {
    match value {
        Value::List(list) => format_list(list),
        Value::Map(map) if !map.is_object() => format_map(map),
        Value::Null => Ok("null".to_owned()),
        Value::Double(value) if value.is_nan() => Ok("NaN".to_owned()),
        Value::Double(value) if value.is_infinite() => Ok(if *value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()),
        Value::Double(value) => Ok(float(*value)),
        Value::Type(of) => Ok(of.runtime_name().to_owned()),
        Value::Optional(_) | Value::Opaque(_) | Value::Map(_) => Err(format!(
            "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, \
             and timestamps, was given {}",
            value.type_name()
        )),
        value => match Operation::String.run(vec![value.clone()]) {
            Ok(text) => Ok(text.as_str().unwrap_or_default().to_owned()),
            Err(error) => Err(format!("could not convert argument {} to string", quoted(&error.to_string()))),
        },
    }
}

/// A value inside of a list or map, as an expression would write it (`clauseForType`, `quoteForCEL`).
fn nested(value: &Value<'_>) -> Printed {
    match value {
        Value::Timestamp(_) => Ok(format!("timestamp({})", quoted(&string(value)?))),
        Value::Duration(_) => Ok(format!("duration({})", quoted(&string(value)?))),
        Value::Bytes(_) => Ok(format!("b{}", quoted(&string(value)?))),
        Value::Double(double) if double.is_finite() => Ok(format!("{double:.PRECISION$}")),
        Value::String(_) | Value::Double(_) => Ok(quoted(&string(value)?)),
        Value::Optional(_) | Value::Opaque(_) => Err(format!("no formatting function for {}", value.type_name())),
        Value::Map(map) if map.is_object() => Err(format!("no formatting function for {}", value.type_name())),
        _ => string(value),
    }
}

/// The recursion follows lists and maps in each other, whose depth an object or an expression bounds.
fn format_list(list: &List<'_>) -> Printed {
    let mut items = Vec::with_capacity(list.len());
    for item in list.iter() {
        items.push(nested(&item.map_err(|error| error.to_string())?)?);
    }
    Ok(format!("[{}]", items.join(", ")))
}

fn format_map(map: &Map<'_>) -> Printed {
    let mut entries = Vec::with_capacity(map.len());
    for key in map.keys() {
        let name = match &key {
            Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::String(_) => nested(&key)?,
            _ => return Err(format!("no formatting function for map key of type {}", key.type_name())),
        };
        let value = map.get(&key).map_err(|error| error.to_string())?;
        entries.push((name, nested(&value.unwrap_or(Value::Null))?));
    }
    entries.sort_by(|(left, _), (right, _)| left.cmp(right));
    let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
    Ok(format!("{{{}}}", entries.join(", ")))
}
