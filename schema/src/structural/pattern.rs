//! Patterns in Go's RE2 syntax, run by the `regex` crate, or by a table where that is small.
//!
//! The two engines are of one family, but not of one syntax: Go's `\d`, `\w`, `\s` and `\b` are ASCII, a `[` inside
//! of a class is a letter, classes have no set operations, `{` may stand for itself, `\Q…\E` quotes, octal escapes
//! exist. The translation makes a pattern mean here what it means to kube-apiserver.

use std::iter::Peekable;
use std::str::Chars;

use regex::bytes::{Regex, RegexBuilder};
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::{Input, util::syntax};

/// How much memory one compiled pattern may take, in bytes: the last of the sizes that are tried.
const PATTERN_SIZES_BYTES: [usize; 5] = [16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20];

/// How much memory the patterns of one schema may take together, in bytes, tables aside.
pub(crate) const PATTERNS_SIZE_BYTES_MAX: usize = 32 << 20;

/// How many bytes of a compiled pattern are worth a step for each byte of text: each of its states may be visited.
const PATTERN_BYTES_PER_STEP: usize = 1024;

/// How many bytes of text a table reads in a step.
const TABLE_BYTES_PER_STEP: usize = 64;

/// Up to this size in bytes, a pattern is a table: it costs some nanoseconds and needs no memory to run. Most are.
const TABLE_SIZE_BYTES_MAX: usize = 8 << 10;

/// What a pattern costs at least of what all patterns of a schema may take, in bytes: also the time that it takes to
/// compile many small ones has an end.
const TABLE_CHARGE_BYTES: usize = 2 << 10;

/// How much memory making a table may take, in bytes.
const TABLE_WORK_BYTES_MAX: usize = 64 << 10;

/// How many characters a pattern may have.
const PATTERN_LENGTH_MAX: usize = 16 << 10;

/// Go refuses larger counts in `{n,m}`.
const REPEAT_MAX: u32 = 1000;

/// What is wrong with patterns that are too large.
const TOO_LARGE: &str = "it, or all patterns of the schema together, would take too much memory";

/// A pattern as written, and compiled.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    text: String,
    compiled: Result<Engine, String>,
    /// What compiling it may have cost and holding it may cost, in bytes.
    charge_bytes: usize,
}

/// What runs a pattern.
#[derive(Debug, Clone)]
enum Engine {
    Table(Box<dense::DFA<Vec<u32>>>),
    Regex { regex: Regex, size_bytes: usize },
}

impl Engine {
    fn is_match(&self, text: &str) -> bool {
        match self {
            Self::Table(table) => {
                // The errors there are concern bytes at which a table gives up; ours have none.
                table.try_search_fwd(&Input::new(text).earliest(true)).is_ok_and(|found| found.is_some())
            }
            Self::Regex { regex, .. } => regex.is_match(text.as_bytes()),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// Compiles `text` to at most `size_bytes_max`; a failure is kept for [`Pattern::error`].
    pub(crate) fn new(text: &str, size_bytes_max: usize) -> Self {
        let mut charge_bytes = TABLE_CHARGE_BYTES;
        let compiled = compile(text, size_bytes_max, &mut charge_bytes);
        Self { text: text.to_owned(), compiled, charge_bytes }
    }

    /// Compiles a pattern of an expression, in which matches are looked for and not only whether there is one.
    pub(crate) fn of_expression(text: &str) -> Self {
        let [.., size_bytes_max] = PATTERN_SIZES_BYTES;
        let mut charge_bytes = TABLE_CHARGE_BYTES;
        let compiled = checked_translation(text)
            .and_then(|translated| regex(text, &translated, size_bytes_max, &mut charge_bytes));
        Self { text: text.to_owned(), compiled, charge_bytes }
    }

    /// What the schema has less for its other patterns, in bytes. A failure costs as much as it was tried.
    pub(crate) fn charge_bytes(&self) -> usize {
        self.charge_bytes
    }

    /// How many steps it may take to match a text of so many bytes.
    pub(crate) fn steps(&self, text_bytes: usize) -> u64 {
        let steps = match &self.compiled {
            Ok(Engine::Regex { size_bytes, .. }) => text_bytes.saturating_mul(size_bytes / PATTERN_BYTES_PER_STEP),
            Ok(Engine::Table(_)) | Err(_) => text_bytes / TABLE_BYTES_PER_STEP,
        };
        u64::try_from(steps).unwrap_or(u64::MAX)
    }

    /// The pattern as written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Why the pattern does not compile, if it does not.
    pub(crate) fn error(&self) -> Option<&str> {
        self.compiled.as_ref().err().map(String::as_str)
    }

    /// Whether `value` contains a match.
    pub(crate) fn matches(&self, value: &str) -> bool {
        self.compiled.as_ref().is_ok_and(|engine| engine.is_match(value))
    }

    /// The matches in `value`, from its start on. Of empty ones those count that stand between characters.
    pub(crate) fn find_all<'v>(&'v self, value: &'v str) -> impl Iterator<Item = &'v str> {
        let regex = self.compiled.iter().filter_map(|engine| match engine {
            Engine::Regex { regex, .. } => Some(regex),
            Engine::Table(_) => None,
        });
        let found = regex.flat_map(|regex| regex.find_iter(value.as_bytes()));
        found.filter_map(|found| value.get(found.range()))
    }
}

fn compile(text: &str, size_bytes_max: usize, charge_bytes: &mut usize) -> Result<Engine, String> {
    if size_bytes_max < TABLE_CHARGE_BYTES {
        return Err(TOO_LARGE.to_owned());
    }
    let translated = checked_translation(text)?;
    match table(&translated) {
        Some(table) => Ok(Engine::Table(Box::new(table))),
        None => regex(text, &translated, size_bytes_max, charge_bytes),
    }
}

fn checked_translation(text: &str) -> Result<String, String> {
    if text.len() > PATTERN_LENGTH_MAX {
        return Err(format!("longer than {PATTERN_LENGTH_MAX} bytes"));
    }
    translate(text)
}

fn regex(text: &str, translated: &str, size_bytes_max: usize, charge_bytes: &mut usize) -> Result<Engine, String> {
    // The size is what it fits in, because a compiled pattern does not tell.
    for size_bytes in PATTERN_SIZES_BYTES.into_iter().filter(|size| *size <= size_bytes_max) {
        *charge_bytes = size_bytes;
        match RegexBuilder::new(translated).size_limit(size_bytes).build() {
            Ok(regex) => return Ok(Engine::Regex { regex, size_bytes }),
            Err(regex::Error::CompiledTooBig(_)) => {}
            Err(error) => return Err(complaint(text, &error.to_string())),
        }
    }
    Err(TOO_LARGE.to_owned())
}

/// The pattern as a table, if that is small. The syntax is that of `regex::bytes`.
fn table(translated: &str) -> Option<dense::DFA<Vec<u32>>> {
    let config = dense::Config::new()
        .start_kind(StartKind::Unanchored)
        .dfa_size_limit(Some(TABLE_SIZE_BYTES_MAX))
        .determinize_size_limit(Some(TABLE_WORK_BYTES_MAX));
    let states = thompson::Config::new()
        .utf8(false)
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(TABLE_WORK_BYTES_MAX));
    dense::Builder::new()
        .configure(config)
        .thompson(states)
        .syntax(syntax::Config::new().utf8(false))
        .build(translated)
        .ok()
}

/// What Go says, where the mistake is a common one; else what the `regex` crate says.
fn complaint(pattern: &str, error: &str) -> String {
    let last = error.lines().last().unwrap_or_default();
    match last.strip_prefix("error: ").unwrap_or(last) {
        "unclosed group" => format!("error parsing regexp: missing closing ): `{pattern}`"),
        "unopened group" => format!("error parsing regexp: unexpected ): `{pattern}`"),
        other => other.to_owned(),
    }
}

/// From Go's syntax to the `regex` crate's.
fn translate(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.chars().peekable();
    // The operator before, for two in a row are refused; and whether there is nothing before.
    let mut last_repeat = String::new();
    let mut at_start = true;
    while let Some(c) = chars.next() {
        let repeat = match c {
            '*' | '+' | '?' => Some(c.to_string()),
            '{' => repeat(&mut chars)?,
            _ => None,
        };
        if let Some(mut repeat) = repeat {
            if chars.next_if_eq(&'?').is_some() {
                repeat.push('?');
            }
            if !last_repeat.is_empty() {
                return Err(format!(
                    "error parsing regexp: invalid nested repetition operator: `{last_repeat}{repeat}`"
                ));
            }
            if at_start {
                return Err(format!("error parsing regexp: missing argument to repetition operator: `{repeat}`"));
            }
            out.push_str(&repeat);
            last_repeat = repeat;
            continue;
        }
        last_repeat.clear();
        at_start = matches!(c, '(' | '|');
        if c == '(' && chars.next_if_eq(&'?').is_some() {
            out.push_str("(?");
            continue;
        }
        match c {
            '\\' => escape(&mut chars, &mut out)?,
            '[' => class(&mut chars, &mut out)?,
            '{' | '}' | ']' => literal(&mut out, c),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// After `{`: a count, if it is not just a brace.
fn repeat(chars: &mut Peekable<Chars<'_>>) -> Result<Option<String>, String> {
    let ahead: String = chars.clone().take_while(|c| *c != '}').take(16).collect();
    let closed = chars.clone().nth(ahead.chars().count()) == Some('}');
    let (low, high) = ahead.split_once(',').unwrap_or((&ahead, &ahead));
    let is_count = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
    };
    if !closed || !is_count(low) || !(high.is_empty() || is_count(high)) {
        return Ok(None);
    }
    for count in [low, high] {
        if !count.is_empty() && count.parse::<u32>().map_or(true, |count| count > REPEAT_MAX) {
            return Err(format!("error parsing regexp: invalid repeat count: `{{{ahead}}}`"));
        }
    }
    for _ in 0..=ahead.chars().count() {
        chars.next();
    }
    Ok(Some(format!("{{{ahead}}}")))
}

/// After a backslash, outside of a class.
fn escape(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    let Some(c) = chars.next() else {
        return Err("error parsing regexp: trailing backslash at end of expression: ``".to_owned());
    };
    match c {
        'Q' => {
            while let Some(c) = chars.next() {
                if c == '\\' && chars.peek() == Some(&'E') {
                    chars.next();
                    break;
                }
                literal(out, c);
            }
        }
        'b' => out.push_str("(?-u:\\b)"),
        'B' => out.push_str("(?-u:\\B)"),
        'A' | 'z' => {
            out.push('\\');
            out.push(c);
        }
        other => match perl_class(other) {
            Some(set) => out.push_str(set),
            None => match atom(other, chars)? {
                Atom::Char(c) => literal(out, c),
                Atom::Unicode(set) => out.push_str(&set),
            },
        },
    }
    Ok(())
}

/// `\d`, `\w`, `\s` and their opposites, ASCII as in Go.
fn perl_class(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => r"[\t\n\x0C\r ]",
        'S' => r"[^\t\n\x0C\r ]",
        _ => return None,
    })
}

/// What an escape stands for.
enum Atom {
    Char(char),
    /// `\pL`, `\p{Greek}` and their opposites, ready to be used.
    Unicode(String),
}

/// After a backslash and `c`: escapes that mean the same inside and outside of classes.
fn atom(c: char, chars: &mut Peekable<Chars<'_>>) -> Result<Atom, String> {
    let invalid = |text: String| Err(format!("error parsing regexp: invalid escape sequence: `\\{text}`"));
    let found = match c {
        'a' => '\x07',
        'f' => '\x0c',
        't' => '\t',
        'n' => '\n',
        'r' => '\r',
        'v' => '\x0b',
        'x' => match hexadecimal(chars) {
            Some(c) => c,
            None => return invalid("x".to_owned()),
        },
        'p' | 'P' => {
            let mut set = format!("\\{c}");
            match chars.next() {
                Some('{') => {
                    set.push('{');
                    for c in chars.by_ref() {
                        set.push(c);
                        if c == '}' {
                            break;
                        }
                    }
                }
                Some(letter) => set.push(letter),
                None => return invalid(c.to_string()),
            }
            return Ok(Atom::Unicode(set));
        }
        '0'..='7' => {
            let is_octal = |c: Option<&char>| c.is_some_and(|c| ('0'..='7').contains(c));
            if c != '0' && !is_octal(chars.peek()) {
                return invalid(c.to_string());
            }
            let mut code = c.to_digit(8).unwrap_or_default();
            for _ in 0..2 {
                if is_octal(chars.peek()) {
                    code = code * 8 + chars.next().and_then(|c| c.to_digit(8)).unwrap_or_default();
                }
            }
            char::from_u32(code).unwrap_or_default()
        }
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        c => return invalid(c.to_string()),
    };
    Ok(Atom::Char(found))
}

/// After `\x`: two digits, or some in braces.
fn hexadecimal(chars: &mut Peekable<Chars<'_>>) -> Option<char> {
    let mut digits = String::new();
    match chars.next()? {
        '{' => {
            for c in chars.by_ref() {
                if c == '}' {
                    break;
                }
                digits.push(c);
            }
        }
        first => {
            digits.push(first);
            digits.push(chars.next()?);
        }
    }
    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
}

/// After `[`: a class up to its `]`.
fn class(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), String> {
    let start = chars.clone();
    let missing = || {
        let rest: String = start.clone().collect();
        format!("error parsing regexp: missing closing ]: `[{rest}`")
    };
    out.push('[');
    if chars.peek() == Some(&'^') {
        chars.next();
        out.push('^');
    }
    let mut first = true;
    loop {
        let c = chars.next().ok_or_else(missing)?;
        if c == ']' && !first {
            out.push(']');
            return Ok(());
        }
        first = false;
        if c == '[' && chars.peek() == Some(&':') {
            let rest: String = chars.clone().take_while(|c| *c != ']').collect();
            if rest.ends_with(':') && rest.len() > 2 {
                out.push('[');
                out.push_str(&rest);
                out.push(']');
                for _ in 0..=rest.chars().count() {
                    chars.next();
                }
                continue;
            }
        }
        let (first_char, range) = (c, chars.clone());
        let Some(low) = class_member(c, chars, out)? else { continue };
        class_literal(out, low);
        let mut ahead = chars.clone();
        if ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']') {
            chars.next();
            let c = chars.next().ok_or_else(missing)?;
            let mut rest = String::new();
            match class_member(c, chars, &mut rest)? {
                Some(high) if low <= high => {
                    out.push('-');
                    class_literal(out, high);
                }
                _ => {
                    let rest = range.clone().count() - chars.clone().count();
                    let written: String = std::iter::once(first_char).chain(range.take(rest)).collect();
                    return Err(format!("error parsing regexp: invalid character class range: `{written}`"));
                }
            }
        }
    }
}

/// One member of a class that begins with `c`: a character that may begin a range, or a set, written to `out`.
fn class_member(c: char, chars: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<Option<char>, String> {
    if c != '\\' {
        return Ok(Some(c));
    }
    let Some(c) = chars.next() else {
        return Err("error parsing regexp: trailing backslash at end of expression: ``".to_owned());
    };
    if let Some(set) = perl_class(c) {
        out.push_str(set);
        return Ok(None);
    }
    match atom(c, chars)? {
        Atom::Char(c) => Ok(Some(c)),
        Atom::Unicode(set) => {
            out.push_str(&set);
            Ok(None)
        }
    }
}

/// A character that stands for itself, outside of a class.
fn literal(out: &mut String, c: char) {
    let mut buffer = [0u8; 4];
    out.push_str(&regex::escape(c.encode_utf8(&mut buffer)));
}

/// A character that stands for itself, inside of a class, where `&`, `~` and `-` may be operators.
fn class_literal(out: &mut String, c: char) {
    if c.is_ascii_punctuation() {
        out.push_str(&format!("\\x{:02X}", u32::from(c)));
    } else {
        literal(out, c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(pattern: &str) -> Pattern {
        Pattern::new(pattern, PATTERNS_SIZE_BYTES_MAX)
    }

    #[test]
    fn patterns_mean_what_they_mean_to_go() {
        let cases = [
            (r"^\d+$", "12", true),
            (r"^\d+$", "١٢", false),
            (r"^\w$", "é", false),
            (r"^[\w.]+$", "a.b", true),
            (r"^[[a]+$", "[a", true),
            (r"^[]a]+$", "]a", true),
            (r"^[a&&b]+$", "a&b", true),
            (r"^[a\-z]$", "-", true),
            (r"^[+--]+$", "+,-", true),
            (r"^[a-]$", "-", true),
            (r"^[[:alpha:]]+$", "abc", true),
            (r"^a{,2}$", "a{,2}", true),
            (r"^{a}$", "{a}", true),
            (r"^a{2,3}$", "aa", true),
            (r"^a{2,3}$", "a", false),
            (r"^\Qa.b\E$", "a.b", true),
            (r"^\Qa.b\E$", "acb", false),
            (r"\<a", "<a", true),
            (r"^\x41\x{1F600}$", "A\u{1F600}", true),
            (r"^\101$", "A", true),
            (r"^[^\s]+$", "a\u{b}b", true),
            (r"\bfoo\B", "a food", true),
            (r"(?i)^ab$", "AB", true),
            (r"^\p{Greek}+$", "αβ", true),
            (r"^(?P<name>a)$", "a", true),
            (r"^.$", "é", true),
            (r"^[^/]+$", "a", true),
            (r"^\/$", "/", true),
            (r"^a~~[~~]$", "a~~~", true),
        ];
        for (pattern, value, matches) in cases {
            let pattern = compiled(pattern);
            assert_eq!(pattern.error(), None, "{}", pattern.text());
            assert_eq!(pattern.matches(value), matches, "{} on {value}", pattern.text());
        }
    }

    #[test]
    fn patterns_that_go_refuses_are_refused() {
        for pattern in [
            r"(?!a)", r"(a", r"[a", r"a{1001}", r"\1", r"[z-a]", r"(?<=a)b", r"*", r"\", r"[a-\d]", r"\y", r"a**",
            r"a{2}{3}", r"\E",
        ] {
            assert!(compiled(pattern).error().is_some(), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_would_take_too_much_memory_is_refused() {
        assert!(compiled(r"((\pL{1000}){1000}){1000}").error().is_some());
        assert!(compiled(&"a".repeat(PATTERN_LENGTH_MAX + 1)).error().is_some());
    }
}
