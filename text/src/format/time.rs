//! Dates, times and durations (kube-openapi/pkg/validation/strfmt/{date,time,duration}.go).

use std::sync::LazyLock;

use regex::Regex;

static CLOCK: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$").ok());

static SCALA: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"([0-9]+)[\t\n\x0C\r ]*([A-Za-zµ]+)").ok());

/// Names of units; of the last name in each line a longer word may follow, as in `days`.
const UNITS: [&[&str]; 8] = [
    &["ns", "nano"],
    &["us", "µs", "micro"],
    &["ms", "milli"],
    &["s", "sec"],
    &["m", "min"],
    &["h", "hr", "hour"],
    &["d", "day"],
    &["w", "wk", "week"],
];

/// A full date of RFC 3339 that exists.
pub(super) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10
        && bytes.iter().enumerate().all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
    shaped && text.parse::<jiff::civil::Date>().is_ok()
}

/// A date and time of RFC 3339.
pub(super) fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut parts = lower.split('t');
    let (Some(date), Some(clock)) = (parts.next(), parts.next()) else { return false };
    if text.len() < 4 || !is_date(date) {
        return false;
    }
    let Some(found) = CLOCK.as_ref().and_then(|clock_pattern| clock_pattern.captures(clock)) else { return false };
    let at_most = |group: usize, max: &str| found.get(group).is_some_and(|part| part.as_str() <= max);
    at_most(1, "23") && at_most(2, "59") && at_most(3, "59")
}

/// A duration as Go or Scala write it.
pub(super) fn is_duration(text: &str) -> bool {
    is_go_duration(text) || is_scala_duration(text)
}

fn is_go_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut nanoseconds = 0u128;
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return false,
        };
        let Some(count) = nanoseconds_of(number, scale) else { return false };
        nanoseconds += count;
        rest = tail;
    }
    // Go holds a duration in 63 bits of nanoseconds.
    nanoseconds <= if text.starts_with('-') { 1 << 63 } else { i64::MAX.unsigned_abs().into() }
}

/// `number` units of `scale` nanoseconds: the whole part exactly, the fraction as a float.
fn nanoseconds_of(number: &str, scale: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let count = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let rest = format!("0.{fraction}0").parse::<f64>().ok()? * scale as f64;
    Some(u128::from(count) * u128::from(scale) + rest as u128)
}

fn is_scala_duration(text: &str) -> bool {
    let Some(pattern) = SCALA.as_ref() else { return false };
    let mut known = false;
    for found in pattern.captures_iter(text) {
        let (Some(count), Some(unit)) = (found.get(1), found.get(2)) else { return false };
        if count.as_str().parse::<i64>().is_err() {
            return false;
        }
        known |= is_unit(&unit.as_str().to_lowercase());
    }
    known
}

fn is_unit(unit: &str) -> bool {
    UNITS.iter().any(|names| names.contains(&unit) || names.last().is_some_and(|name| unit.starts_with(name)))
}
