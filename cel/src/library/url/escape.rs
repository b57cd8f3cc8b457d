//! Percent escapes as Go's `net/url` has them, with its complaints.

use kindsmith_text::print::quoted;

/// The part of a URL, for which characters have different meanings (`encoding`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The whole path.
    Path,
    /// The host and its port.
    Host,
    /// The zone of an address, after `%25`.
    Zone,
    /// A user or a password.
    User,
    /// A key or a value of a query.
    Query,
    /// What follows `#`.
    Fragment,
}

/// Whether a byte is to be escaped (`shouldEscape`).
pub(super) fn is_escaped(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        return false;
    }
    if matches!(part, Part::Host | Part::Zone) && b"!$&'()*+,;=:[]<>\"".contains(&byte) {
        return false;
    }
    if b"$&+,/:;=?@".contains(&byte) {
        return match part {
            Part::Path => byte == b'?',
            Part::User => b"@/?:".contains(&byte),
            Part::Query | Part::Host | Part::Zone => true,
            Part::Fragment => false,
        };
    }
    !(part == Part::Fragment && b"!()*".contains(&byte))
}

/// `unescape`.
pub(super) fn unescape(text: &str, part: Part) -> Result<Vec<u8>, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(byte) = bytes.get(i) {
        match byte {
            b'%' => {
                let invalid = || format!("invalid URL escape {}", quoted(&clip(&bytes[i..])));
                let code = code(bytes, i).ok_or_else(invalid)?;
                let refused = match part {
                    // Hosts have escapes for bytes beyond ASCII only.
                    Part::Host => code < 0x80 && code != b'%',
                    Part::Zone => code != b'%' && code != b' ' && is_escaped(code, Part::Host),
                    _ => false,
                };
                if refused {
                    return Err(invalid());
                }
                out.push(code);
                i += 3;
            }
            b'+' if part == Part::Query => {
                out.push(b' ');
                i += 1;
            }
            byte => {
                if matches!(part, Part::Host | Part::Zone) && byte.is_ascii() && is_escaped(*byte, part) {
                    let byte = char::from(*byte).to_string();
                    return Err(format!("invalid character {} in host name", quoted(&byte)));
                }
                out.push(*byte);
                i += 1;
            }
        }
    }
    Ok(out)
}

/// The byte that the escape at `i` stands for.
fn code(bytes: &[u8], i: usize) -> Option<u8> {
    let digit = |i: usize| char::from(*bytes.get(i)?).to_digit(16);
    u8::try_from(digit(i + 1)? * 16 + digit(i + 2)?).ok()
}

/// The first three bytes, to be printed.
fn clip(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(3)]).into_owned()
}

/// `escape`.
pub(super) fn escape(bytes: &[u8], part: Part) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' ' if part == Part::Query => out.push('+'),
            byte if is_escaped(*byte, part) => out.push_str(&format!("%{byte:02X}")),
            byte => out.push(char::from(*byte)),
        }
    }
    out
}

/// The text as it was written, if it could have been escaped that way; else escaped anew (`EscapedPath`).
pub(super) fn escaped(written: &str, bytes: &[u8], part: Part) -> String {
    let valid = |byte: u8| b"!$&'()*+,;=:@[]%".contains(&byte) || !is_escaped(byte, part);
    if written.bytes().all(valid) { written.to_owned() } else { escape(bytes, part) }
}
