//! Sets of characters: `[…]`, `\d`, `\pL`.

use super::read::{Rest, error};
use super::unicode;

/// The names of `[[:name:]]`.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

/// A set that stands for itself, inside of brackets or not: `\d` and its like, `\pL` and its like.
pub(super) fn set(rest: &mut Rest<'_>) -> Result<Option<String>, String> {
    if rest.0.starts_with(r"\p") || rest.0.starts_with(r"\P") {
        return unicode(rest).map(Some);
    }
    for (escape, set) in [
        (r"\d", "[0-9]"),
        (r"\D", "[^0-9]"),
        (r"\w", "[0-9A-Za-z_]"),
        (r"\W", "[^0-9A-Za-z_]"),
        (r"\s", r"[\t\n\x0C\r ]"),
        (r"\S", r"[^\t\n\x0C\r ]"),
    ] {
        if rest.take(escape) {
            return Ok(Some(set.to_owned()));
        }
    }
    Ok(None)
}

fn unicode(rest: &mut Rest<'_>) -> Result<String, String> {
    let before = *rest;
    let negative = rest.take(r"\P");
    if !negative {
        rest.take(r"\p");
    }
    let name = if rest.take("{") {
        let Some((name, after)) = rest.0.split_once('}') else {
            return Err(error("invalid character class range", before.0));
        };
        rest.0 = after;
        name
    } else {
        let letter = *rest;
        rest.next();
        rest.since(letter)
    };
    let (inverted, name) = name.strip_prefix('^').map_or((false, name), |name| (true, name));
    let known = unicode::set(name).ok_or_else(|| error("invalid character class range", rest.since(before)))?;
    Ok(if negative == inverted { known } else { format!("[^{known}]") })
}

/// At `[`: a set in brackets.
pub(super) fn brackets(rest: &mut Rest<'_>) -> Result<String, String> {
    let whole = *rest;
    rest.next();
    let mut out = if rest.take("^") { "[^".to_owned() } else { "[".to_owned() };
    let empty = out.len();
    let mut first = true;
    while first || rest.peek() != Some(']') {
        first = false;
        if rest.0.starts_with("[:")
            && let Some(end) = rest.0.get(2..).and_then(|name| name.find(":]"))
        {
            let (name, after) = rest.0.split_at(end + 4);
            let plain = &name[2..name.len() - 2];
            if !POSIX.contains(&plain.strip_prefix('^').unwrap_or(plain)) {
                return Err(error("invalid character class range", name));
            }
            rest.0 = after;
            out.push_str(name);
            continue;
        }
        if let Some(set) = set(rest)? {
            out.push_str(&set);
            continue;
        }
        let range = *rest;
        let low = member(rest, whole)?;
        let mut high = low;
        if rest.0.len() >= 2 && rest.0.starts_with('-') && !rest.0.starts_with("-]") {
            rest.next();
            high = member(rest, whole)?;
            if high < low {
                return Err(error("invalid character class range", rest.since(range)));
            }
        }
        // No text has halves of surrogate pairs.
        let is_half = |code: u32| char::from_u32(code).is_none();
        let low = if is_half(low) { 0xE000 } else { low };
        let high = if is_half(high) { 0xD7FF } else { high };
        if low <= high {
            out.push_str(&format!(r"\x{{{low:X}}}-\x{{{high:X}}}"));
        }
    }
    rest.next();
    if out.len() == empty {
        out.push_str(r"a&&b");
    }
    out.push(']');
    Ok(out)
}

/// One character of a set, as its code.
fn member(rest: &mut Rest<'_>, whole: Rest<'_>) -> Result<u32, String> {
    if rest.0.starts_with('\\') {
        return rest.escape();
    }
    rest.next().map(u32::from).ok_or_else(|| error("missing closing ]", whole.0))
}
