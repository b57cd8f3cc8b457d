//! Patterns in Go's RE2 syntax, run by the `regex` crate.
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

mod class;
mod read;
mod syntax;
mod unicode;

use regex::bytes::{Regex, RegexBuilder};

/// How much memory one compiled pattern may take, in bytes.
const PATTERN_SIZE_BYTES_MAX: usize = 4 << 20;

/// How many characters a pattern may have.
const PATTERN_LENGTH_MAX: usize = 16 << 10;

/// A pattern as written, and compiled.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    text: String,
    compiled: Result<Regex, String>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// Compiles `text`; a failure is kept for [`Pattern::error`].
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), compiled: compile(text) }
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
        self.compiled.as_ref().is_ok_and(|regex| regex.is_match(value.as_bytes()))
    }

    /// The matches in `value`, from its start on. Of empty ones those count that stand between characters.
    pub(crate) fn find_all<'v>(&'v self, value: &'v str) -> impl Iterator<Item = &'v str> {
        let found = self.compiled.iter().flat_map(|regex| regex.find_iter(value.as_bytes()));
        found.filter_map(|found| value.get(found.range()))
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    if text.len() > PATTERN_LENGTH_MAX {
        return Err(format!("longer than {PATTERN_LENGTH_MAX} bytes"));
    }
    let translated = syntax::translate(text)?;
    // What is left is a matter of size.
    let compiled = RegexBuilder::new(&translated).size_limit(PATTERN_SIZE_BYTES_MAX).build();
    compiled.map_err(|error| error.to_string().lines().last().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let pattern = Pattern::new(pattern);
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
            assert!(Pattern::new(pattern).error().is_some(), "{pattern}");
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
            assert_eq!(Pattern::new(pattern).error(), Some(format!("error parsing regexp: {error}").as_str()));
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
            let pattern = Pattern::new(pattern);
            assert!(pattern.matches(value), "{} {:?}", pattern.text(), pattern.error());
        }
    }

    #[test]
    fn a_pattern_that_would_take_too_much_memory_is_refused() {
        assert!(Pattern::new(r"((\pL{1000}){1000}){1000}").error().is_some());
        assert!(Pattern::new(&"a".repeat(PATTERN_LENGTH_MAX + 1)).error().is_some());
    }
}
