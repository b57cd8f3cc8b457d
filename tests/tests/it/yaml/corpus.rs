//! Texts in YAML: always the same ones for a seed.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// Words that mean something, or nearly do.
const WORDS: &[&str] = &[
    "y",
    "Y",
    "n",
    "N",
    "yes",
    "Yes",
    "YES",
    "yEs",
    "no",
    "No",
    "NO",
    "on",
    "On",
    "ON",
    "off",
    "Off",
    "OFF",
    "oFF",
    "true",
    "True",
    "TRUE",
    "tRue",
    "false",
    "False",
    "FALSE",
    "null",
    "Null",
    "NULL",
    "nUll",
    "~",
    "~a",
    "<<",
    "=",
    ".inf",
    ".Inf",
    ".INF",
    "+.inf",
    "-.Inf",
    ".nan",
    ".NaN",
    ".NAN",
    "+.nan",
    ".iNf",
    "010",
    "0644",
    "0o17",
    "08",
    "09.5",
    "1__0",
    "1_",
    "_1",
    "0_1",
    "0x1F",
    "0X1f",
    "0x",
    "-0x10",
    "0b101",
    "0B1",
    "0b-1",
    "0b+1",
    "-0b1",
    "0b2",
    "1e3",
    "1E3",
    "1e+3",
    "1e-3",
    "1e400",
    "-1e400",
    "1e-400",
    "1.",
    ".5",
    ".5e3",
    ".",
    "-.5",
    "+.5",
    "+1",
    "-0",
    "-0.0",
    "0.0",
    "+0",
    "1.0",
    "100.00",
    "1.5e300",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "0777777777777777777777",
    "01777777777777777777777",
    "0xFFFFFFFFFFFFFFFF",
    "190:20:30",
    "1:30",
    "12:30:45",
    "2001-12-14",
    "2001-1-2",
    "2001-13-14",
    "2001-12-14T21:59:43.10-05:00",
    "2001-12-14 21:59:43.10",
    "2001-12-14t21:59:43Z",
    "1.5.6",
    "v1",
    "a",
    "word",
    "a b",
    "a-b",
    "10.0.0.0/8",
    "1Gi",
    "500m",
    "é",
    "日本",
    "\u{1F600}",
    "0.1",
    "1e21",
    "1e20",
    "123456789.125",
    "1e-7",
    "0.000001",
    "3.141592653589793",
    "1_000.5",
    ".1_0",
    ".1__0",
    "._1",
    ".1_",
    "16777217",
    "16777217.5",
    "1e38",
    "1e39",
    "1e-46",
    "a:b",
    "a#b",
    "http://x/y?z#w",
    "-a",
    "--",
    "a,b",
    "a]b",
];

/// The letters of numbers and of words with a meaning.
const LETTERS: &[u8] = b"00112345789._+-eExXoObB:yYnNtTrRuUeEfFaAlLsS~";

const TAGS: &[&str] = &[
    "!!str",
    "!!int",
    "!!float",
    "!!bool",
    "!!null",
    "!!timestamp",
    "!!binary",
    "!!merge",
    "!!map",
    "!!seq",
    "!x",
    "!",
    "!<tag:yaml.org,2002:str>",
    "!!foo",
];

/// A generator of texts.
pub(super) struct Corpus(StdRng);

impl Corpus {
    /// The corpus of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.0.random_ratio(1, n)
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words.choose(&mut self.0).copied().unwrap_or_default()
    }

    fn up_to(&mut self, most: usize) -> usize {
        self.0.random_range(0..=most)
    }

    /// A word without quotes.
    fn word(&mut self) -> String {
        if self.one_in(2) {
            return self.of(WORDS).to_owned();
        }
        let length = 1 + self.up_to(7);
        let word: String =
            (0..length).map(|_| char::from(LETTERS.choose(&mut self.0).copied().unwrap_or(b'0'))).collect();
        // A dash alone is no word for the parser, and one for Go where a comma follows.
        if word == "-" { "a".to_owned() } else { word }
    }

    /// A scalar as it stands in a line.
    fn scalar(&mut self) -> String {
        let word = self.word();
        let word = match self.up_to(9) {
            0 => format!("'{word}'"),
            1 => format!("\"{word}\""),
            2 => self
                .of(&["\"a\\nb\"", "\"\\x41\\u00e9\"", "'it''s'", "\"\\t\\\\\"", "\"\"", "''", "\"a\\/b\""])
                .to_owned(),
            _ => word,
        };
        if self.one_in(8) { format!("{} {word}", self.of(TAGS)) } else { word }
    }

    /// A scalar alone, in a place where it is a value or a key.
    pub(super) fn scalar_text(&mut self) -> String {
        let scalar = self.scalar();
        match self.up_to(5) {
            0 => scalar,
            1 => format!("[{scalar}, x]"),
            2 => format!("{{{scalar}: x}}"),
            3 => format!("{scalar}: x\n"),
            4 => format!("- {scalar}\n- x\n"),
            _ => format!("a: {scalar}\n"),
        }
    }

    fn flow(&mut self, depth: usize) -> String {
        let length = self.up_to(3);
        match self.up_to(if depth == 0 { 0 } else { 3 }) {
            0 | 1 => {
                let scalar = self.scalar();
                if scalar.contains([',', ']', '[', '{', '}'])
                    || scalar.ends_with(':')
                    || scalar.starts_with(['?', ':', '-'])
                {
                    "w".to_owned()
                } else {
                    scalar
                }
            }
            2 => {
                let items: Vec<String> = (0..length).map(|_| self.flow(depth - 1)).collect();
                format!("[{}{}]", items.join(", "), if length > 0 && self.one_in(4) { "," } else { "" })
            }
            _ => {
                let members: Vec<String> =
                    (0..length).map(|_| format!("{}: {}", self.name(), self.flow(depth - 1))).collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }

    fn name(&mut self) -> String {
        match self.up_to(11) {
            0 => self
                .of(&["1", "y", "on", "1.5", "'1'", "true", "010", "\"a b\"", "1e3", "0x10", "2001-01-01"])
                .to_owned(),
            _ => self.of(&["a", "b", "c", "d", "e", "name", "spec", "x-y", "a/b", "k.k"]).to_owned(),
        }
    }

    /// A value behind a key or a dash, with its line break.
    fn value(&mut self, out: &mut String, columns: usize, depth: usize, anchors: &mut Vec<String>) {
        let pad = " ".repeat(columns);
        if self.one_in(10) && depth > 0 {
            let name = format!("n{}", anchors.len());
            out.push_str(&format!(" &{name}"));
            anchors.push(name);
        }
        match self.up_to(if depth == 0 { 3 } else { 9 }) {
            0 | 1 => out.push_str(&format!(" {}\n", self.scalar())),
            2 => out.push_str(&format!(" {}\n", self.flow(3))),
            3 => match self.up_to(8) {
                0 if !anchors.is_empty() && !out.ends_with(|c: char| c.is_ascii_digit()) => {
                    let name = anchors.choose(&mut self.0).cloned().unwrap_or_default();
                    out.push_str(&format!(" *{name}\n"));
                }
                1 => out.push('\n'),
                2 => out.push_str(&format!(" {} # a comment\n", self.scalar())),
                3 => out.push_str(&format!(" two\n{pad}lines {}\n", self.word().replace([':', '#'], ""))),
                4 => out.push_str(&format!(" \"two\n{pad}lines\n\n{pad}and more\"\n")),
                5 => out.push_str(&format!(" '{}\n{pad}x'\n", self.of(&["a", "a b", "0"]))),
                _ => {
                    let mark = self.of(&["|", "|-", "|+", ">", ">-", ">+", "|2", "| # c"]);
                    let mark = if mark == "|2" && columns != 2 { "|" } else { mark };
                    out.push_str(&format!(" {mark}\n{pad}{}\n", self.word().trim_start()));
                    for _ in 0..self.up_to(3) {
                        let line = self.of(&["", "  more", "text", "a: b", "# no comment"]);
                        if line.is_empty() { out.push('\n') } else { out.push_str(&format!("{pad}{line}\n")) }
                    }
                }
            },
            4 | 5 => {
                out.push('\n');
                self.list(out, columns, depth - 1, anchors);
            }
            _ => {
                out.push('\n');
                self.map(out, columns, depth - 1, anchors);
            }
        }
    }

    fn map(&mut self, out: &mut String, columns: usize, depth: usize, anchors: &mut Vec<String>) {
        for _ in 0..1 + self.up_to(3) {
            if self.one_in(12) {
                out.push_str(&format!("{}# comment: x\n", " ".repeat(columns)));
            }
            out.push_str(&" ".repeat(columns));
            if self.one_in(12) {
                let map = match anchors.choose(&mut self.0) {
                    Some(name) => format!("*{name}"),
                    None => "{a: merged, zz: 1}".to_owned(),
                };
                let map = if self.one_in(3) { format!("[{map}, {{b: 2, a: 3}}]") } else { map };
                out.push_str(&format!("<<: {map}\n"));
                continue;
            }
            let name = self.name();
            out.push_str(&name);
            out.push(':');
            self.value(out, columns + 2, depth, anchors);
        }
    }

    fn list(&mut self, out: &mut String, columns: usize, depth: usize, anchors: &mut Vec<String>) {
        for _ in 0..1 + self.up_to(2) {
            out.push_str(&" ".repeat(columns));
            out.push('-');
            if self.one_in(3) && depth > 0 {
                let name = self.name();
                out.push_str(&format!(" {name}:"));
                self.value(out, columns + 4, depth - 1, anchors);
                out.push_str(&format!("{}z: 1\n", " ".repeat(columns + 2)));
            } else {
                self.value(out, columns + 2, depth, anchors);
            }
        }
    }

    /// A document of maps and lists.
    pub(super) fn document(&mut self) -> String {
        let mut out =
            self.of(&["", "", "", "", "---\n", "# comment\n", "\n", "%YAML 1.1\n---\n", "--- # c\n"]).to_owned();
        self.map(&mut out, 0, 3, &mut Vec::new());
        out.push_str(self.of(&["", "", "", "...\n", "---\nb: 1\n", "# end", "---\n[", "\n\n"]));
        out
    }
}
