//! Durations and timestamps: reading, printing, parts.
//!
//! Follows Go's `time` package and cel-go's `common/types/{duration,timestamp}.go`.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::Outcome;
use crate::cel::value::{EvalError, Value};

/// Nanoseconds of the units of durations.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Seconds of the first and the last moment that CEL knows: the years 1 and 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Whether CEL knows the moment.
pub(super) fn is_in_range(at: Timestamp) -> bool {
    SECONDS.contains(&at.as_second())
}

/// A duration such as `1h30m` or `-1.5s`, in nanoseconds (Go's `time.ParseDuration`).
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let whole_end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (whole, after) = rest.split_at(whole_end);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len())),
            None => ("", after),
        };
        if (whole.is_empty() && fraction.is_empty()) || whole.len() > 19 {
            return None;
        }
        let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let digits = &fraction[..fraction.len().min(18)];
        let part: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        let divisor = 10_i128.checked_pow(u32::try_from(digits.len()).ok()?)?;
        total = total.checked_add(whole.checked_mul(*scale)?)?.checked_add(part * scale / divisor)?;
        if total > i128::from(i64::MAX) + i128::from(negative) {
            return None;
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// A timestamp in RFC 3339.
pub(crate) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let is_strict = text.len() >= 20 && text.is_ascii() && text.as_bytes()[10] == b'T';
    let ends_well = text.ends_with('Z') || text.get(text.len().checked_sub(6)?..)?.starts_with(['+', '-']);
    if !is_strict || !ends_well {
        return None;
    }
    text.parse::<Timestamp>().ok().filter(|at| is_in_range(*at))
}

/// A date, as the moment at which it begins in UTC.
pub(crate) fn parse_date(text: &str) -> Option<Timestamp> {
    let date: Date = text.parse().ok().filter(|_| text.len() == 10)?;
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()).filter(|at| is_in_range(*at))
}

/// As CEL prints a duration: seconds, with as many decimals as it takes.
pub(crate) fn print_duration(nanoseconds: i64) -> String {
    let (sign, all) = (if nanoseconds < 0 { "-" } else { "" }, nanoseconds.unsigned_abs());
    let (seconds, rest) = (all / 1_000_000_000, all % 1_000_000_000);
    if rest == 0 {
        return format!("{sign}{seconds}s");
    }
    let rest = format!("{rest:09}");
    format!("{sign}{seconds}.{}s", rest.trim_end_matches('0'))
}

/// As RFC 3339 prints a moment in UTC.
pub(crate) fn print_timestamp(at: Timestamp) -> String {
    at.to_string()
}

/// A part of a timestamp or of a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Part {
    /// The part that a function asks for.
    pub(super) fn named(function: &str) -> Option<Self> {
        Some(match function {
            "getFullYear" => Self::FullYear,
            "getMonth" => Self::Month,
            "getDate" => Self::Date,
            "getDayOfMonth" => Self::DayOfMonth,
            "getDayOfWeek" => Self::DayOfWeek,
            "getDayOfYear" => Self::DayOfYear,
            "getHours" => Self::Hours,
            "getMinutes" => Self::Minutes,
            "getSeconds" => Self::Seconds,
            "getMilliseconds" => Self::Milliseconds,
            _ => return None,
        })
    }

    /// The part of a value, for a timestamp in a time zone; UTC if none is given.
    pub(super) fn of<'a>(self, value: &Value<'a>, zone: Option<&Value<'a>>) -> Outcome<'a> {
        match (value, zone) {
            (Value::Duration(nanoseconds), None) => self.of_duration(*nanoseconds),
            (Value::Timestamp(at), None) => Ok(Value::Int(self.of_moment(&at.to_zoned(TimeZone::UTC)))),
            (Value::Timestamp(at), Some(Value::String(zone))) => {
                Ok(Value::Int(self.of_moment(&at.to_zoned(time_zone(zone.as_str())?))))
            }
            _ => Err(EvalError::no_overload()),
        }
    }

    fn of_duration<'a>(self, nanoseconds: i64) -> Outcome<'a> {
        let seconds = nanoseconds / 1_000_000_000;
        Ok(Value::Int(match self {
            Self::Hours => seconds / 3600,
            Self::Minutes => seconds / 60,
            Self::Seconds => seconds,
            Self::Milliseconds => nanoseconds / 1_000_000,
            _ => return Err(EvalError::no_overload()),
        }))
    }

    fn of_moment(self, at: &Zoned) -> i64 {
        match self {
            Self::FullYear => i64::from(at.year()),
            Self::Month => i64::from(at.month()) - 1,
            Self::Date => i64::from(at.day()),
            Self::DayOfMonth => i64::from(at.day()) - 1,
            Self::DayOfWeek => i64::from(at.weekday().to_sunday_zero_offset()),
            Self::DayOfYear => i64::from(at.day_of_year()) - 1,
            Self::Hours => i64::from(at.hour()),
            Self::Minutes => i64::from(at.minute()),
            Self::Seconds => i64::from(at.second()),
            Self::Milliseconds => i64::from(at.millisecond()),
        }
    }
}

/// A time zone by name, or by offset such as `-07:00`.
fn time_zone(name: &str) -> Result<TimeZone, EvalError> {
    let unknown = || EvalError::failed(format!("unknown time zone {name}"));
    let Some((hours, minutes)) = name.split_once(':') else {
        if name.is_empty() || name == "UTC" {
            return Ok(TimeZone::UTC);
        }
        return TimeZone::get(name).map_err(|_| unknown());
    };
    let (hours_value, minutes_value): (i32, i32) = match (hours.parse(), minutes.parse()) {
        (Ok(hours), Ok(minutes)) => (hours, minutes),
        _ => return Err(unknown()),
    };
    if !(0..60).contains(&minutes_value) {
        return Err(EvalError::failed(format!("timezone offset minutes out of range [0, 59]: {name}")));
    }
    let sign = if hours.starts_with('-') { -1 } else { 1 };
    let seconds = hours_value.checked_mul(3600).and_then(|seconds| seconds.checked_add(sign * minutes_value * 60));
    let offset = seconds.and_then(|seconds| Offset::from_seconds(seconds).ok()).ok_or_else(unknown)?;
    Ok(offset.to_time_zone())
}
