//! How long a request may take: `?timeout=` (apiserver pkg/endpoints/filters/request_deadline.go).

use std::time::Duration;

use super::error::BadRequest;
use super::query::Query;

/// The time a request may take: what the client asks for, if that is positive and shorter than `default`.
///
/// Not for watches and other requests that are long by nature; those ignore the parameter.
pub fn request_deadline(query: Option<&str>, default: Duration) -> Result<Duration, BadRequest> {
    let query = Query::parse(query)?;
    let Some(text) = query.filled("timeout") else { return Ok(default) };
    let asked = parse_duration(text)
        .map_err(|problem| BadRequest::new(format!("invalid timeout specified in the request URL - {problem}")))?;
    Ok(asked.filter(|asked| !asked.is_zero() && *asked < default).unwrap_or(default))
}

/// Go's `time.ParseDuration`; a negative duration is `None`.
fn parse_duration(text: &str) -> Result<Option<Duration>, String> {
    let invalid = || format!("time: invalid duration {}", quote(text));
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Ok(Some(Duration::ZERO));
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanoseconds: u64 = 0;
    while !rest.is_empty() {
        let (whole, after_whole) = digits(rest);
        let (fraction, after_number) = match after_whole.strip_prefix('.') {
            Some(after_point) => digits(after_point),
            None => ("", after_whole),
        };
        let too_large = !whole.is_empty() && !whole.parse::<u64>().is_ok_and(|whole| whole <= 1 << 63);
        if too_large || (whole.is_empty() && fraction.is_empty()) {
            return Err(invalid());
        }
        let is_unit = |character: char| character != '.' && !character.is_ascii_digit();
        let end = after_number.find(|character| !is_unit(character)).unwrap_or(after_number.len());
        let (unit, after_unit) = after_number.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", quote(text)));
        }
        let scale =
            scale(unit).ok_or_else(|| format!("time: unknown unit {} in duration {}", quote(unit), quote(text)))?;
        nanoseconds = amount(whole, fraction, scale)
            .and_then(|amount| nanoseconds.checked_add(amount))
            .filter(|sum| i64::try_from(*sum).is_ok())
            .ok_or_else(invalid)?;
        rest = after_unit;
    }
    Ok((!negative).then(|| Duration::from_nanos(nanoseconds)))
}

/// How package time quotes: unlike `strconv`, byte by byte.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..0x80 => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len()))
}

/// Nanoseconds in a unit.
fn scale(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn amount(whole: &str, fraction: &str, scale: u64) -> Option<u64> {
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    // Digits beyond a nanosecond of an hour do not count.
    let mut part: u64 = 0;
    let mut place = scale;
    for digit in fraction.bytes().take(13) {
        place /= 10;
        part += place * u64::from(digit - b'0');
    }
    whole.checked_mul(scale)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const DEFAULT: Duration = Duration::from_secs(60);

    #[rstest]
    #[case(None, DEFAULT)]
    #[case(Some("timeout="), DEFAULT)]
    #[case(Some("timeout=0"), DEFAULT)]
    #[case(Some("timeout=0s"), DEFAULT)]
    #[case(Some("timeout=-5s"), DEFAULT)]
    #[case(Some("timeout=2m"), DEFAULT)]
    #[case(Some("timeout=30s"), Duration::from_secs(30))]
    #[case(Some("timeout=1.5s"), Duration::from_millis(1500))]
    #[case(Some("timeout=.5s"), Duration::from_millis(500))]
    #[case(Some("timeout=1s500ms"), Duration::from_millis(1500))]
    fn the_shorter_time_counts(#[case] query: Option<&str>, #[case] expected: Duration) {
        assert_eq!(request_deadline(query, DEFAULT).unwrap(), expected);
    }

    #[rstest]
    #[case("x", "time: invalid duration \"x\"")]
    #[case("-", "time: invalid duration \"-\"")]
    #[case("5", "time: missing unit in duration \"5\"")]
    #[case("5x", "time: unknown unit \"x\" in duration \"5x\"")]
    #[case("é\t", "time: invalid duration \"\\xc3\\xa9\\x09\"")]
    #[case("9999999h", "time: invalid duration \"9999999h\"")]
    fn what_is_no_duration_is_refused(#[case] text: &str, #[case] problem: &str) {
        let refusal = request_deadline(Some(&format!("timeout={text}")), DEFAULT).unwrap_err();
        assert_eq!(refusal.message, format!("invalid timeout specified in the request URL - {problem}"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([0-9]|[.]|s|m|h|µs|-|.){0,24}") {
            let _ = parse_duration(&text);
        }
    }
}
