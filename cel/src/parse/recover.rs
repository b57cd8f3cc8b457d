//! What a syntax error says, and when the parse may go on.
//!
//! Follows ANTLR's default error strategy, which cel-go shows the messages of: a token too many is skipped, a token
//! that is missing is assumed, and anything else ends the parse.

use std::borrow::Cow;

use super::grammar::{Parser, Stop};
use super::token::Kind;

/// The names of tokens, in the order in which messages list them.
const NAMES: [&str; 33] = [
    "'['",
    "']'",
    "'{'",
    "'}'",
    "'('",
    "')'",
    "'.'",
    "','",
    "'-'",
    "'!'",
    "'?'",
    "':'",
    "'+'",
    "'*'",
    "'/'",
    "'%'",
    "'true'",
    "'false'",
    "'null'",
    "NUM_FLOAT",
    "NUM_INT",
    "NUM_UINT",
    "STRING",
    "BYTES",
    "IDENTIFIER",
    "ESC_IDENTIFIER",
    "'in'",
    "'=='",
    "'!='",
    "'<'",
    "'<='",
    "'>='",
    "'>'",
];

/// What an operand can begin with.
pub(super) const OPERAND: [&str; 15] = [
    "'['",
    "'{'",
    "'('",
    "'.'",
    "'-'",
    "'!'",
    "'true'",
    "'false'",
    "'null'",
    "NUM_FLOAT",
    "NUM_INT",
    "NUM_UINT",
    "STRING",
    "BYTES",
    "IDENTIFIER",
];

/// What can follow an operand, whatever surrounds it.
const AFTER_OPERAND: [&str; 16] = [
    "'.'", "'['", "'?'", "'+'", "'-'", "'*'", "'/'", "'%'", "'in'", "'=='", "'!='", "'<'", "'<='", "'>='", "'>'", "'{'",
];

impl Parser<'_> {
    /// Handles that the next token is none of these. Afterwards it is, or the parse is over.
    pub(super) fn unexpected(&mut self, expected: &[&str]) -> Result<(), Stop> {
        let extraneous = self.peek() != Kind::End && expected.contains(&&*name(self.peek_second()));
        let what = if extraneous { "extraneous" } else { "mismatched" };
        self.syntax_error(&format!("{what} input '{}' expecting {}", self.shown(), set(expected)));
        if !extraneous {
            return Err(Stop);
        }
        self.skip();
        Ok(())
    }

    /// Takes the token `wanted`, or goes on as if it were there.
    pub(super) fn expect(&mut self, wanted: &'static str) -> Result<(), Stop> {
        if self.take(wanted) {
            return Ok(());
        }
        let quoted = format!("'{wanted}'");
        if self.peek() != Kind::End && self.peek_second() == Kind::Fixed(wanted) {
            self.syntax_error(&format!("extraneous input '{}' expecting {quoted}", self.shown()));
            self.skip();
            self.skip();
            return Ok(());
        }
        if self.can_follow(wanted) {
            self.syntax_error(&format!("missing {quoted} at '{}'", self.shown()));
            return Ok(());
        }
        self.syntax_error(&format!("mismatched input '{}' expecting {quoted}", self.shown()));
        Err(Stop)
    }

    /// Whether the next token is one of these.
    pub(super) fn is_next(&self, expected: &[&str]) -> bool {
        expected.contains(&&*name(self.peek()))
    }

    /// Whether the next token could come after `wanted`.
    fn can_follow(&self, wanted: &str) -> bool {
        let next = name(self.peek());
        if wanted == ":" {
            return OPERAND.contains(&&*next);
        }
        if AFTER_OPERAND.contains(&&*next) {
            return true;
        }
        match self.surroundings() {
            None => self.peek() == Kind::End,
            Some(closers) => closers.contains(&&*next),
        }
    }

    /// Reports a fault at the next token.
    pub(super) fn syntax_error(&mut self, message: &str) {
        self.report(Some(self.place()), format!("Syntax error: {message}"));
    }
}

/// A token's name in messages.
fn name(kind: Kind) -> Cow<'static, str> {
    Cow::Borrowed(match kind {
        Kind::Fixed(text) => return Cow::Owned(format!("'{text}'")),
        Kind::End => "<EOF>",
        Kind::Identifier => "IDENTIFIER",
        Kind::Escaped => "ESC_IDENTIFIER",
        Kind::Int => "NUM_INT",
        Kind::Uint => "NUM_UINT",
        Kind::Float => "NUM_FLOAT",
        Kind::String => "STRING",
        Kind::Bytes => "BYTES",
    })
}

/// A set of tokens in messages.
fn set(expected: &[&str]) -> String {
    let mut names: Vec<&str> = NAMES.into_iter().filter(|name| expected.contains(name)).collect();
    match names.len() {
        0 => expected.join(", "),
        1 => names.remove(0).to_owned(),
        _ => format!("{{{}}}", names.join(", ")),
    }
}
