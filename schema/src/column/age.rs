//! Dates as ages: what `kubectl get` shows as `5m30s`.

use jiff::Timestamp;

/// The digits of a fraction of a second that are told apart.
const FRACTION_DIGITS_MAX: usize = 9;

/// The cell of a date: its age, `<unknown>` for no date, `<invalid>` for no RFC 3339 or a date in the future
/// (`ConvertToHumanReadableDateType` in `apimachinery/pkg/api/meta/table`).
pub(super) fn age(date: &str, now: Timestamp) -> String {
    if date.is_empty() || date == "null" {
        return "<unknown>".to_owned();
    }
    match parse_rfc3339(date) {
        None => "<invalid>".to_owned(),
        Some(date) if date.as_second() == GO_ZERO_SECOND && date.subsec_nanosecond() == 0 => "<unknown>".to_owned(),
        Some(date) => human_duration(now.as_nanosecond() - date.as_nanosecond()),
    }
}

/// `0001-01-01T00:00:00Z`, Go's zero time.
const GO_ZERO_SECOND: i64 = -62_135_596_800;

/// Parses as strictly as Go's `time.Parse(time.RFC3339, …)`: jiff alone takes spaces, weeks and zone names too.
fn parse_rfc3339(date: &str) -> Option<Timestamp> {
    let (seconds, rest) = date.split_at_checked("0000-00-00T00:00:00".len())?;
    let shape = seconds.bytes().zip("0000-00-00T00:00:00".bytes());
    if !shape.into_iter().all(|(byte, like)| if like == b'0' { byte.is_ascii_digit() } else { byte == like }) {
        return None;
    }
    if seconds.ends_with("60") {
        return None;
    }
    let digits = rest.strip_prefix(['.', ',']).map(|rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    let (fraction, zone) = match digits {
        Some(0) => return None,
        Some(count) => (&rest[1..=count.min(FRACTION_DIGITS_MAX)], &rest[count + 1..]),
        None => ("0", rest),
    };
    let offset = zone.bytes().zip("+00:00".bytes()).all(|(byte, like)| match like {
        b'+' => matches!(byte, b'+' | b'-'),
        b'0' => byte.is_ascii_digit(),
        like => byte == like,
    });
    if zone != "Z" && !(zone.len() == "+00:00".len() && offset) {
        return None;
    }
    format!("{seconds}.{fraction}{zone}").parse().ok()
}

/// Two or three significant figures of a duration (`HumanDuration` in `apimachinery/pkg/util/duration`). A clock that
/// is up to two seconds ahead is forgiven.
fn human_duration(nanoseconds: i128) -> String {
    // Go's time.Since saturates at the largest Duration.
    let nanoseconds = i64::try_from(nanoseconds.clamp(i64::MIN.into(), i64::MAX.into())).unwrap_or(i64::MAX);
    let seconds = nanoseconds / 1_000_000_000;
    let (minutes, hours, days, years) = (seconds / 60, seconds / 3600, seconds / 86_400, seconds / (365 * 86_400));
    let pair = |large: i64, unit: char, small: i64, small_unit: char| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{small_unit}"),
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        _ if seconds < 2 * 60 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, 'm', seconds % 60, 's'),
        _ if minutes < 3 * 60 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, 'h', minutes % 60, 'm'),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 8 * 24 => pair(days, 'd', hours % 24, 'h'),
        _ if days < 2 * 365 => format!("{days}d"),
        _ if days < 8 * 365 => pair(years, 'y', days % 365, 'd'),
        _ => format!("{years}y"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;

    #[rstest]
    #[case(-2, "<invalid>")]
    #[case(-1, "0s")]
    #[case(0, "0s")]
    #[case(119, "119s")]
    #[case(120, "2m")]
    #[case(2 * MINUTE + 5, "2m5s")]
    #[case(10 * MINUTE + 59, "10m")]
    #[case(3 * HOUR - 1, "179m")]
    #[case(3 * HOUR, "3h")]
    #[case(7 * HOUR + 30 * MINUTE, "7h30m")]
    #[case(8 * HOUR + 30 * MINUTE, "8h")]
    #[case(47 * HOUR, "47h")]
    #[case(2 * DAY, "2d")]
    #[case(3 * DAY + 4 * HOUR, "3d4h")]
    #[case(8 * DAY + 4 * HOUR, "8d")]
    #[case(2 * YEAR - DAY, "729d")]
    #[case(2 * YEAR, "2y")]
    #[case(3 * YEAR + 12 * DAY, "3y12d")]
    #[case(8 * YEAR + 12 * DAY, "8y")]
    fn durations_have_two_or_three_figures(#[case] seconds: i64, #[case] expected: &str) {
        assert_eq!(human_duration(i128::from(seconds) * 1_000_000_000), expected);
    }

    #[test]
    fn a_clock_slightly_ahead_is_forgiven() {
        assert_eq!(human_duration(-1_999_999_999), "0s");
        assert_eq!(human_duration(-2_000_000_000), "<invalid>");
    }

    #[rstest]
    #[case("", "<unknown>")]
    #[case("null", "<unknown>")]
    #[case("0001-01-01T00:00:00Z", "<unknown>")]
    #[case("2026-01-01T11:59:30Z", "30s")]
    #[case("2026-01-01T13:59:30+02:00", "30s")]
    #[case("2026-01-01T11:59:30.5Z", "29s")]
    #[case("2026-01-01T11:59:30,5Z", "29s")]
    #[case("2026-01-01T11:59:30.1234567891234Z", "29s")]
    #[case("1500-01-01T00:00:00Z", "292y")]
    #[case("2026-01-01 11:59:30Z", "<invalid>")]
    #[case("2026-01-01T11:59:30", "<invalid>")]
    #[case("2026-01-01T11:59:60Z", "<invalid>")]
    #[case("2026-01-01T11:59:30.Z", "<invalid>")]
    #[case("2026-01-01T11:59:30z", "<invalid>")]
    #[case("2026-13-01T11:59:30Z", "<invalid>")]
    #[case("2026-01-01T11:59:30Z[UTC]", "<invalid>")]
    #[case("yesterday", "<invalid>")]
    fn dates_are_read_as_strictly_as_go_reads_them(#[case] date: &str, #[case] expected: &str) {
        let now = "2026-01-01T12:00:00Z".parse().unwrap();
        assert_eq!(age(date, now), expected);
    }
}
