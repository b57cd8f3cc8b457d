//! Patterns in Go's RE2 syntax, run by the `regex` crate, or by a table where that is small.
//!
//! The two engines are of one family, but not of one syntax: Go's `\d`, `\w`, `\s` and `\b` are ASCII, a `[` inside
//! of a class is a letter, classes have no set operations, `{` may stand for itself, `\Q…\E` quotes, octal escapes
//! exist. The translation makes a pattern mean here what it means to kube-apiserver, and refuses with Go's words what Go
//! refuses.
//!
//! - `syntax`: the pattern as a whole
//! - `class`: sets of characters
//! - `read`: what is left of the pattern, escapes, Go's errors
//! - `unicode`: the names of sets of characters
//! - `shared`: patterns that several schemas have

mod class;
mod read;
mod shared;
mod syntax;
mod unicode;

pub use shared::shared;

use regex::bytes::{Regex, RegexBuilder};
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::{Input, util::syntax as automata_syntax};

/// How much memory one compiled pattern may take, in bytes: the last of the sizes that are tried.
const PATTERN_SIZES_BYTES: [usize; 5] = [16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20];

/// How much memory the patterns of one schema may take together, in bytes, tables aside.
pub const PATTERNS_SIZE_BYTES_MAX: usize = 32 << 20;

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

/// What is wrong with patterns that are too large.
const TOO_LARGE: &str = "it, or all patterns of the schema together, would take too much memory";

/// A pattern as written, and compiled.
#[derive(Debug, Clone)]
pub struct Pattern {
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
    pub fn new(text: &str, size_bytes_max: usize) -> Self {
        let mut charge_bytes = TABLE_CHARGE_BYTES;
        let compiled = compile(text, size_bytes_max, &mut charge_bytes);
        Self { text: text.to_owned(), compiled, charge_bytes }
    }

    /// Compiles a pattern of an expression, in which matches are looked for and not only whether there is one.
    pub fn of_expression(text: &str) -> Self {
        let [.., size_bytes_max] = PATTERN_SIZES_BYTES;
        let mut charge_bytes = TABLE_CHARGE_BYTES;
        let compiled =
            checked_translation(text).and_then(|translated| regex(&translated, size_bytes_max, &mut charge_bytes));
        Self { text: text.to_owned(), compiled, charge_bytes }
    }

    /// What the schema has less for its other patterns, in bytes. A failure costs as much as it was tried.
    pub fn charge_bytes(&self) -> usize {
        self.charge_bytes
    }

    /// How many steps it may take to match a text of so many bytes.
    pub fn steps(&self, text_bytes: usize) -> u64 {
        let steps = match &self.compiled {
            Ok(Engine::Regex { size_bytes, .. }) => text_bytes.saturating_mul(size_bytes / PATTERN_BYTES_PER_STEP),
            Ok(Engine::Table(_)) | Err(_) => text_bytes / TABLE_BYTES_PER_STEP,
        };
        u64::try_from(steps).unwrap_or(u64::MAX)
    }

    /// The pattern as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Why the pattern does not compile, if it does not.
    pub fn error(&self) -> Option<&str> {
        self.compiled.as_ref().err().map(String::as_str)
    }

    /// Whether `value` contains a match.
    pub fn matches(&self, value: &str) -> bool {
        self.compiled.as_ref().is_ok_and(|engine| engine.is_match(value))
    }

    /// The matches in `value`, from its start on. Of empty ones those count that stand between characters.
    pub fn find_all<'v>(&'v self, value: &'v str) -> impl Iterator<Item = &'v str> {
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
        None => regex(&translated, size_bytes_max, charge_bytes),
    }
}

fn checked_translation(text: &str) -> Result<String, String> {
    if text.len() > PATTERN_LENGTH_MAX {
        return Err(format!("longer than {PATTERN_LENGTH_MAX} bytes"));
    }
    syntax::translate(text)
}

fn regex(translated: &str, size_bytes_max: usize, charge_bytes: &mut usize) -> Result<Engine, String> {
    // The size is what it fits in, because a compiled pattern does not tell.
    for size_bytes in PATTERN_SIZES_BYTES.into_iter().filter(|size| *size <= size_bytes_max) {
        *charge_bytes = size_bytes;
        match RegexBuilder::new(translated).size_limit(size_bytes).build() {
            Ok(regex) => return Ok(Engine::Regex { regex, size_bytes }),
            Err(regex::Error::CompiledTooBig(_)) => {}
            Err(error) => return Err(error.to_string().lines().last().unwrap_or_default().to_owned()),
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
        .syntax(automata_syntax::Config::new().utf8(false))
        .build(translated)
        .ok()
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
    fn patterns_are_refused_with_the_words_of_go() {
        let cases = [
            (r"\p{Foo}", r"invalid character class range: `\p{Foo}`"),
            (r"\p{Old_Italic}", r"invalid character class range: `\p{Old_Italic}`"),
            (r"\p{L", r"invalid character class range: `\p{L`"),
            (r"[[:foo:]]", r"invalid character class range: `[:foo:]`"),
            (r"[b-a]", r"invalid character class range: `b-a`"),
            (r"x[a", r"missing closing ]: `[a`"),
            (r"(a", r"missing closing ): `(a`"),
            (r"a)b", r"unexpected ): `a)b`"),
            (r"a|*", r"missing argument to repetition operator: `*`"),
            (r"(?i)*?a", r"missing argument to repetition operator: `*?`"),
            (r"a**", r"invalid nested repetition operator: `**`"),
            (r"a{2}?{3}b", r"invalid nested repetition operator: `{2}?{3}`"),
            (r"a{2,1}", r"invalid repeat count: `{2,1}`"),
            (r"(a{100}){100}", r"invalid repeat count: `{100}`"),
            (r"a(?=b)", r"invalid or unsupported Perl syntax: `(?=`"),
            (r"(?i", r"invalid or unsupported Perl syntax: `(?i`"),
            (r"(?i-)", r"invalid or unsupported Perl syntax: `(?i-)`"),
            (r"(?<=a)b", r"invalid named capture: `(?<=a)b`"),
            (r"(?P<a b>c)", r"invalid named capture: `(?P<a b>`"),
            (r"\x{110000}", r"invalid escape sequence: `\x{110000`"),
            (r"\x4", r"invalid escape sequence: `\x4`"),
            (r"[a-\d]", r"invalid escape sequence: `\d`"),
            (r"\", r"trailing backslash at end of expression: ``"),
        ];
        for (pattern, error) in cases {
            assert_eq!(
                Pattern::new(pattern, PATTERNS_SIZE_BYTES_MAX).error(),
                Some(format!("error parsing regexp: {error}").as_str())
            );
        }
    }

    #[test]
    fn names_of_groups_and_flags_that_say_nothing_are_accepted() {
        for (pattern, value) in [
            (r"(?P<n>a)(?<n>b)", "ab"),
            (r"(?)a", "a"),
            (r"(?i-i:A|a)", "a"),
            (r"(?ii)A", "a"),
            (r"^a(?i)*B$", "aab"),
            (r"\pN\PN\p{^Lu}\p{any}", "1aaa"),
            (r"\p{lower-case letter}", "a"),
            (r"[\x{D7FE}-\x{E001}]", "\u{E000}"),
        ] {
            let pattern = Pattern::new(pattern, PATTERNS_SIZE_BYTES_MAX);
            assert!(pattern.matches(value), "{} {:?}", pattern.text(), pattern.error());
        }
    }

    #[test]
    fn a_pattern_that_would_take_too_much_memory_is_refused() {
        assert!(compiled(r"((\pL{1000}){1000}){1000}").error().is_some());
        assert!(compiled(&"a".repeat(PATTERN_LENGTH_MAX + 1)).error().is_some());
    }
}
