//! Durations and timestamps as strings, the way that cel-go reads them: with Go's `time.ParseDuration` and
//! `time.Parse(time.RFC3339, …)`.

use jiff::civil::{Date, DateTime, Time};

/// One above the most nanoseconds of a duration.
const LIMIT: u64 = 1 << 63;

/// The nanoseconds of a duration: `1h30m`, `-1.5s`, `0`.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0u64;
    while !rest.is_empty() {
        let (nanoseconds, tail) = duration_part(rest)?;
        total = total.checked_add(nanoseconds).filter(|total| *total <= LIMIT)?;
        rest = tail;
    }
    if negative { 0i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() }
}

/// The number and unit that the text begins with, in nanoseconds.
fn duration_part(text: &str) -> Option<(u64, &str)> {
    let split = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (whole, mut rest) = text.split_at(split(text));
    let mut fraction = "";
    if let Some(behind) = rest.strip_prefix('.') {
        (fraction, rest) = behind.split_at(split(behind));
    }
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (unit, rest) = rest.split_at(rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len()));
    let scale: u64 = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok().filter(|whole| *whole <= LIMIT)? };
    let nanoseconds = whole.checked_mul(scale).filter(|found| *found <= LIMIT)?;
    let part = fraction_of(fraction, scale);
    Some((nanoseconds.checked_add(part).filter(|found| *found <= LIMIT)?, rest))
}

/// The nanoseconds of the digits behind a point. Go drops digits that no 63 bits hold, and computes in floats.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let mut value = 0u64;
    let mut scale = 1f64;
    for digit in digits.bytes().map(|digit| u64::from(digit - b'0')) {
        let next = value.checked_mul(10).and_then(|more| more.checked_add(digit)).filter(|next| *next <= LIMIT);
        let Some(next) = next.filter(|_| value <= (LIMIT - 1) / 10) else { break };
        value = next;
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

/// The point in time that the text of RFC 3339 means, if `jiff` holds it.
pub(crate) fn timestamp(text: &str) -> Option<jiff::Timestamp> {
    let (seconds, nanoseconds) = parse_timestamp(text)?;
    jiff::Timestamp::new(seconds, nanoseconds).ok()
}

/// A point in time of RFC 3339, between the years 1 and 9999: seconds of Unix time, and nanoseconds. The last hours of
/// the year 9999 are beyond what `jiff::Timestamp` holds.
pub(crate) fn parse_timestamp(text: &str) -> Option<(i64, i32)> {
    let (date, time) = text.split_at_checked(11)?;
    let shaped = date.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        _ => byte.is_ascii_digit(),
    });
    // Go takes an hour of one digit.
    let (hour, rest) = time.split_once(':')?;
    let (minute, rest) = rest.split_once(':')?;
    let (second, rest) = rest.split_at_checked(2)?;
    if !shaped || !number(hour, 1..=2) || !number(minute, 2..=2) || !number(second, 2..=2) {
        return None;
    }
    let (nanosecond, zone) = subsecond(rest)?;
    let offset = zone_offset(zone)?;
    let date = Date::new(date.get(..4)?.parse().ok()?, date.get(5..7)?.parse().ok()?, date.get(8..10)?.parse().ok()?);
    let time = Time::new(hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?, 0);
    let local = date.ok()?.to_datetime(time.ok()?).duration_since(EPOCH).as_secs();
    let unix = local - i64::from(offset);
    (FIRST_SECOND..=LAST_SECOND).contains(&unix).then_some((unix, nanosecond))
}

/// 1970-01-01T00:00:00.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
/// 0001-01-01T00:00:00Z.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const LAST_SECOND: i64 = 253_402_300_799;

fn number(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The nanoseconds behind a point or comma, if there are any; digits beyond the ninth are dropped.
fn subsecond(text: &str) -> Option<(i32, &str)> {
    let Some(behind) = text.strip_prefix(['.', ',']) else { return Some((0, text)) };
    let (digits, rest) = behind.split_at(behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len()));
    if digits.is_empty() {
        return None;
    }
    let kept = &digits[..digits.len().min(9)];
    Some((format!("{kept:0<9}").parse().ok()?, rest))
}

/// How many seconds a zone is ahead.
fn zone_offset(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    if !number(hours, 2..=2) || !number(minutes, 2..=2) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 24 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}
