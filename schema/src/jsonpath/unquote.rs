//! Quoted strings in a path: Go's escapes, in single or double quotes (`UnquoteExtend` and `strconv.UnquoteChar`).

use std::str::Chars;

/// The text between the quotes with its escapes resolved; `None` for what Go calls invalid syntax.
pub(super) fn unquote(quoted: &str) -> Option<String> {
    let quote = quoted.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = quoted.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => escape(&mut rest, quote, &mut bytes)?,
            c if c == quote => return None,
            c => push(&mut bytes, c),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn escape(rest: &mut Chars<'_>, quote: char, bytes: &mut Vec<u8>) -> Option<()> {
    let c = rest.next()?;
    let byte = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        '\'' | '"' if c == quote => u8::try_from(c).ok()?,
        'x' => u8::try_from(digits(rest, 2, 16)?).ok()?,
        'u' => return char::from_u32(digits(rest, 4, 16)?).map(|c| push(bytes, c)),
        'U' => return char::from_u32(digits(rest, 8, 16)?).map(|c| push(bytes, c)),
        '0'..='7' => {
            let value = c.to_digit(8)? * 64 + digits(rest, 2, 8)?;
            u8::try_from(value).ok()?
        }
        _ => return None,
    };
    bytes.push(byte);
    Some(())
}

fn digits(rest: &mut Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    let mut value = 0_u32;
    for _ in 0..count {
        value = value.checked_mul(radix)?.checked_add(rest.next()?.to_digit(radix)?)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_go() {
        assert_eq!(unquote(r#""a\tb\"c""#).as_deref(), Some("a\tb\"c"));
        assert_eq!(unquote(r"'it\'s'").as_deref(), Some("it's"));
        assert_eq!(unquote(r"'\x41\u00e9\101'").as_deref(), Some("AéA"));
        assert_eq!(unquote("''").as_deref(), Some(""));
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for bad in ["'", "'a", r"'\q'", r#"'\"'"#, r"'\x4'", r"'\ud800'", r"'\777'", "a'", ""] {
            assert_eq!(unquote(bad), None, "{bad}");
        }
    }
}
