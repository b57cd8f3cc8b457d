//! Durations and timestamps: printing, parts; `clock` reads them.
//!
//! Follows Go's `time` package and cel-go's `common/types/{duration,timestamp}.go`.

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::Outcome;
use crate::value::{EvalError, Value};

/// Seconds of the first and the last moment that CEL knows: the years 1 and 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Whether CEL knows the moment.
pub(super) fn is_in_range(at: Timestamp) -> bool {
    SECONDS.contains(&at.as_second())
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
pub fn print_timestamp(at: Timestamp) -> String {
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
    let sign = if hours.starts_with('-') { -1 } else { 1 };
    let seconds = hours_value.checked_mul(3600).and_then(|seconds| seconds.checked_add(sign * minutes_value * 60));
    let offset = seconds.and_then(|seconds| Offset::from_seconds(seconds).ok()).ok_or_else(unknown)?;
    Ok(offset.to_time_zone())
}
