//! Host names and addresses (kube-openapi/pkg/validation/strfmt/{default,kubernetes-extensions}.go).

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use regex::Regex;

/// A host name after letters and symbols beyond ASCII became `a` and `0`.
static HOSTNAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = concat!(
        r"^([a-zA-Z0-9](-?[a-zA-Z0-9]{0,62})?",
        r"|([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]{2,63})$"
    );
    Regex::new(pattern).ok()
});

static LETTER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{L}$").ok());

static SYMBOL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\p{S}$").ok());

/// A host name; letters and symbols of any script are allowed.
pub(super) fn is_hostname(text: &str) -> bool {
    if text.len() > 255 || text.split('.').any(|label| label.len() > 63) {
        return false;
    }
    let reduced: String = text.chars().map(reduced).collect();
    HOSTNAME.as_ref().is_some_and(|pattern| pattern.is_match(&reduced))
}

fn reduced(c: char) -> char {
    let mut buffer = [0u8; 4];
    let text = &*c.encode_utf8(&mut buffer);
    let is_in = |class: &Option<Regex>| class.as_ref().is_some_and(|class| class.is_match(text));
    if c.is_ascii_alphanumeric() || c == '-' || c == '.' {
        c
    } else if is_in(&LETTER) {
        'a'
    } else if is_in(&SYMBOL) {
        '0'
    } else {
        '_'
    }
}

/// An address with dots, leading zeros tolerated.
pub(super) fn is_ipv4(text: &str) -> bool {
    text.contains('.') && (is_dotted(text) || text.parse::<Ipv6Addr>().is_ok())
}

/// An address with colons, without a zone.
pub(super) fn is_ipv6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

/// An address and a prefix length.
pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let bits = if is_dotted(address) {
        32
    } else if is_ipv6(address) {
        128
    } else {
        return false;
    };
    decimal(prefix).is_some_and(|length| length <= bits)
}

fn is_dotted(text: &str) -> bool {
    let mut parts = 0;
    text.split('.').all(|part| {
        parts += 1;
        decimal(part).is_some_and(|number| number <= 255)
    }) && parts == 4
}

/// A decimal number, leading zeros tolerated.
fn decimal(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// A hardware address of 6, 8 or 20 bytes; with colons, dashes, dots between pairs of bytes, or nothing in between.
pub(super) fn is_mac(text: &str) -> bool {
    let (separator, digits) = match text.as_bytes() {
        [_, _, b':', ..] => (':', 2),
        [_, _, b'-', ..] => ('-', 2),
        [_, _, _, _, b'.', ..] => ('.', 4),
        plain => return matches!(plain.len(), 12 | 16 | 40) && plain.iter().all(u8::is_ascii_hexdigit),
    };
    let mut bytes = 0;
    let whole = text.split(separator).all(|group| {
        bytes += digits / 2;
        group.len() == digits && group.bytes().all(|b| b.is_ascii_hexdigit())
    });
    whole && matches!(bytes, 6 | 8 | 20)
}

/// A label of DNS, lower case, at most 63 characters.
pub(super) fn is_short_name(text: &str) -> bool {
    text.len() <= 63 && is_name(text)
}

/// Labels of DNS with dots between them, at most 253 characters.
pub(super) fn is_long_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_name)
}

fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.bytes().all(|b| allowed(b) || b == b'-')
        && text.bytes().next().is_some_and(allowed)
        && text.bytes().last().is_some_and(allowed)
}
