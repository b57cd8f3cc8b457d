//! What literals stand for.
//!
//! Follows cel-go's `parser/unescape.go` and the literals of `parser/parser.go`.

/// The value of an int literal, with its sign.
pub(super) fn int(negative: Sign, text: &str) -> Option<i64> {
    let (digits, radix) = radix(text);
    let signed = match negative {
        Sign::Minus => format!("-{digits}"),
        Sign::None => digits.to_owned(),
    };
    i64::from_str_radix(&signed, radix).ok()
}

/// Whether a minus stands before a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Minus,
    None,
}

/// The value of a uint literal, with its suffix.
pub(super) fn uint(text: &str) -> Option<u64> {
    let (digits, radix) = radix(text.trim_end_matches(['u', 'U']));
    u64::from_str_radix(digits, radix).ok()
}

/// The value of a double literal.
pub(super) fn double(negative: Sign, text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let signed = if negative == Sign::Minus { -value } else { value };
    value.is_finite().then_some(signed)
}

fn radix(text: &str) -> (&str, u32) {
    text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16))
}

/// The value of a string literal, with its quotes.
pub(super) fn string(text: &str) -> Result<String, &'static str> {
    let value = unescape(text, Target::String)?;
    String::from_utf8(value).map_err(|_| INVALID)
}

/// The value of a bytes literal, with its prefix and quotes.
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, &'static str> {
    unescape(text.get(1..).unwrap_or_default(), Target::Bytes)
}

const INVALID: &str = "unable to unescape string";

/// What escapes of numbers mean: characters in strings, bytes in bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    String,
    Bytes,
}

fn unescape(text: &str, target: Target) -> Result<Vec<u8>, &'static str> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let unraw = text.trim_start_matches(['r', 'R']);
    let triple = unraw.len() >= 6 && (unraw.starts_with("'''") || unraw.starts_with("\"\"\""));
    let quotes = if triple { 3 } else { 1 };
    let inner = unraw.get(quotes..unraw.len().saturating_sub(quotes)).ok_or(INVALID)?;
    if unraw.len() < text.len() || !inner.contains('\\') {
        return Ok(inner.as_bytes().to_vec());
    }
    let mut value = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        value.extend_from_slice(&rest.as_bytes()[..at]);
        rest = escaped(&rest[at + 1..], target, &mut value)?;
    }
    value.extend_from_slice(rest.as_bytes());
    Ok(value)
}

/// Appends what stands behind a backslash, and gives the rest.
fn escaped<'a>(text: &'a str, target: Target, value: &mut Vec<u8>) -> Result<&'a str, &'static str> {
    let first = *text.as_bytes().first().ok_or(INVALID)?;
    let (from, length, radix) = match first {
        b'x' | b'X' => (1, 2, 16),
        b'u' if target == Target::String => (1, 4, 16),
        b'U' if target == Target::String => (1, 8, 16),
        b'0'..=b'3' => (0, 3, 8),
        _ => {
            value.push(match first {
                b'a' => 0x07,
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 0x0b,
                b'\\' | b'\'' | b'"' | b'`' | b'?' => first,
                _ => return Err(INVALID),
            });
            return Ok(&text[1..]);
        }
    };
    let digits = text.get(from..from + length).ok_or(INVALID)?;
    let number = u32::from_str_radix(digits, radix).map_err(|_| INVALID)?;
    match target {
        Target::Bytes => value.push(u8::try_from(number).map_err(|_| INVALID)?),
        Target::String => {
            let character = char::from_u32(number).ok_or("invalid unicode code point")?;
            value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok(&text[from + length..])
}
