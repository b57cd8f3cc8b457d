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
    let mut nanoseconds = 0f64;
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return false,
        };
        let Ok(count) = number.parse::<f64>() else { return false };
        nanoseconds += count * scale;
        rest = tail;
    }
    // Go holds a duration in 63 bits of nanoseconds.
    nanoseconds <= 9_223_372_036_854_775_808.0
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
