//! The tokens of an expression.
//!
//! Follows the lexer rules of cel-go's `parser/gen/CEL.g4`: the longest match wins.

use crate::issues::Issues;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The end of the text.
    End,
    /// An operator, a delimiter, or one of `in`, `true`, `false` and `null`.
    Fixed(&'static str),
    /// A name, reserved or not.
    Identifier,
    /// A name in backquotes.
    Escaped,
    /// `1`, `0x1f`.
    Int,
    /// `1u`.
    Uint,
    /// `1.5`, `1e3`.
    Float,
    /// A string, with its quotes.
    String,
    /// A byte string, with its prefix and quotes.
    Bytes,
}

/// A token and where it stands, in characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Operators and delimiters, longer ones before their own beginnings.
const FIXED: [&str; 25] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?", ":", "+", "*",
    "/", "%", "",
];

/// All tokens of the text, the end included. What is no token is reported and left out.
pub(super) fn tokens(text: &[char], issues: &mut Issues) -> Vec<Token> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        at += blank(&text[at..]);
        let rest = &text[at..];
        if rest.is_empty() {
            found.push(Token { kind: Kind::End, start: at, end: at });
            return found;
        }
        if let Some((kind, length)) = next(rest) {
            found.push(Token { kind, start: at, end: at + length });
            at += length;
        } else {
            // The faulty character belongs to what was not recognised.
            let length = (partial(rest) + 1).min(rest.len());
            let shown: String = rest[..length].iter().collect();
            issues.report(u32::try_from(at).ok(), format!("Syntax error: token recognition error at: '{shown}'"));
            at += length;
        }
    }
}

/// Where the brace is that closes what the text is inside of: not one of a string, of a comment or of a map.
pub fn closing_brace(text: &[char]) -> Option<usize> {
    let (mut at, mut open) = (0, 0_usize);
    loop {
        at += blank(&text[at..]);
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let (kind, length) = next(rest).map_or((None, 1), |(kind, length)| (Some(kind), length));
        match kind {
            Some(Kind::Fixed("}")) if open == 0 => return Some(at),
            Some(Kind::Fixed("}")) => open -= 1,
            Some(Kind::Fixed("{")) => open += 1,
            // What is no token is told when the expression is parsed.
            _ => {}
        }
        at += length;
    }
}

/// The length of the white space and comments that the text begins with.
fn blank(text: &[char]) -> usize {
    let mut at = 0;
    loop {
        match (text.get(at), text.get(at + 1)) {
            (Some('\t' | ' ' | '\r' | '\n' | '\u{c}'), _) => at += 1,
            (Some('/'), Some('/')) => at += text[at..].iter().take_while(|c| **c != '\n').count(),
            _ => return at,
        }
    }
}

/// The token that the text begins with, and its length.
fn next(text: &[char]) -> Option<(Kind, usize)> {
    let first = *text.first()?;
    if let Some((kind, length)) = quoted(text) {
        return Some((kind, length));
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let length = text.iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').count();
        let word: String = text[..length].iter().collect();
        let keyword = ["in", "true", "false", "null"].into_iter().find(|keyword| *keyword == word);
        return Some((keyword.map_or(Kind::Identifier, Kind::Fixed), length));
    }
    if first == '`' {
        let inner = text[1..]
            .iter()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ' '))
            .count();
        return (inner > 0 && text.get(inner + 1) == Some(&'`')).then_some((Kind::Escaped, inner + 2));
    }
    number(text).or_else(|| {
        let fixed = FIXED.into_iter().find(|fixed| begins(text, fixed)).filter(|fixed| !fixed.is_empty())?;
        Some((Kind::Fixed(fixed), fixed.len()))
    })
}

fn begins(text: &[char], with: &str) -> bool {
    with.chars().enumerate().all(|(index, c)| text.get(index) == Some(&c))
}

fn digits(text: &[char]) -> usize {
    text.iter().take_while(|c| c.is_ascii_digit()).count()
}

fn number(text: &[char]) -> Option<(Kind, usize)> {
    if begins(text, "0x") {
        let hexadecimal = text[2..].iter().take_while(|c| c.is_ascii_hexdigit()).count();
        if hexadecimal > 0 {
            return Some(integer(text, 2 + hexadecimal));
        }
    }
    let whole = digits(text);
    let fraction = match text.get(whole) {
        Some('.') => digits(&text[whole + 1..]),
        _ => 0,
    };
    let mantissa = if fraction > 0 { whole + 1 + fraction } else { whole };
    if mantissa == 0 {
        return None;
    }
    if let Some('e' | 'E') = text.get(mantissa) {
        let sign = usize::from(matches!(text.get(mantissa + 1), Some('+' | '-')));
        let exponent = text.get(mantissa + 1 + sign..).map_or(0, digits);
        if exponent > 0 {
            return Some((Kind::Float, mantissa + 1 + sign + exponent));
        }
    }
    if fraction > 0 { Some((Kind::Float, mantissa)) } else { Some(integer(text, whole)) }
}

fn integer(text: &[char], length: usize) -> (Kind, usize) {
    match text.get(length) {
        Some('u' | 'U') => (Kind::Uint, length + 1),
        _ => (Kind::Int, length),
    }
}

/// A string or bytes literal, of which there is the longest.
fn quoted(text: &[char]) -> Option<(Kind, usize)> {
    let (kind, prefix, raw) = prefix(text);
    let body = text.get(prefix..)?;
    let length = match opened(body)? {
        (quote, true) => closed(&body[3..], quote, 3, raw)
            .ok()
            .map(|length| length + 6)
            // Without its end, three quotes are an empty string and the start of another.
            .or(Some(2)),
        (quote, false) => closed(&body[1..], quote, 1, raw).ok().map(|length| length + 2),
    }?;
    Some((kind, prefix + length))
}

/// What a literal would be, how long its prefix is, and whether it is raw.
fn prefix(text: &[char]) -> (Kind, usize, Raw) {
    let bytes = usize::from(matches!(text.first(), Some('b' | 'B')));
    let raw = usize::from(matches!(text.get(bytes), Some('r' | 'R')));
    let kind = if bytes > 0 { Kind::Bytes } else { Kind::String };
    (kind, bytes + raw, if raw > 0 { Raw::Yes } else { Raw::No })
}

/// Whether backslashes are ordinary characters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Raw {
    Yes,
    No,
}

/// The quote that the text begins with, and whether there are three of it.
fn opened(text: &[char]) -> Option<(char, bool)> {
    let quote = *text.first().filter(|c| matches!(c, '"' | '\''))?;
    Some((quote, text.get(1) == Some(&quote) && text.get(2) == Some(&quote)))
}

/// The length of the text up to the closing quotes; or where it went wrong.
fn closed(text: &[char], quote: char, quotes: usize, raw: Raw) -> Result<usize, usize> {
    let mut at = 0;
    loop {
        let character = *text.get(at).ok_or(at)?;
        if character == quote && (quotes == 1 || (1..quotes).all(|more| text.get(at + more) == Some(&quote))) {
            return Ok(at);
        }
        if quotes == 1 && matches!(character, '\n' | '\r') {
            return Err(at);
        }
        at += if character == '\\' && raw == Raw::No { escape(&text[at..]).map_err(|bad| at + bad)? } else { 1 };
    }
}

/// The length of the escape sequence that the text begins with; or where it went wrong.
fn escape(text: &[char]) -> Result<usize, usize> {
    let expect = |range: std::ops::Range<usize>, radix: u32| {
        range.clone().find(|at| !text.get(*at).is_some_and(|c| c.is_digit(radix))).map_or(Ok(range.end), Err)
    };
    match text.get(1) {
        Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`') => Ok(2),
        Some('0'..='3') => expect(2..4, 8),
        Some('x' | 'X') => expect(2..4, 16),
        Some('u') => expect(2..6, 16),
        Some('U') => expect(2..10, 16),
        _ => Err(1),
    }
}

/// How far a token could have gone that the text does not begin with.
fn partial(text: &[char]) -> usize {
    let (_, prefix, raw) = prefix(text);
    match text[prefix..].first() {
        Some(quote @ ('"' | '\'')) => {
            prefix + 1 + closed(&text[prefix + 1..], *quote, 1, raw).unwrap_or_else(|bad| bad)
        }
        _ => match text.first() {
            Some('`') => {
                let inner = |c: &&char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ' ');
                1 + text[1..].iter().take_while(inner).count()
            }
            Some('&' | '|' | '=') => 1,
            _ => 0,
        },
    }
}
