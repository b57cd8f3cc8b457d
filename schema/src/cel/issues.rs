//! What is wrong with an expression, printed as cel-go prints it: message, line, and a caret under the place.
//!
//! Follows cel-go's `common/error.go` and `common/errors.go`.

use std::fmt;

/// The most issues that are printed.
const ISSUES_MAX: usize = 100;

/// The longest line, in bytes, that is shown below a message.
const SNIPPET_BYTES_MAX: usize = 16_384;

/// Why an expression does not compile. Prints what kube-apiserver shows after `compilation failed: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct CompileError(String);

/// The issues of one expression.
#[derive(Debug, Default)]
pub(crate) struct Issues {
    found: Vec<Issue>,
    /// How many there were, also those beyond the limit.
    total: usize,
}

#[derive(Debug)]
struct Issue {
    /// Where in the text, in characters; none for issues of the whole.
    offset: Option<u32>,
    message: String,
}

impl Issues {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Notes that something is wrong at `offset`, which counts characters.
    pub(crate) fn report(&mut self, offset: Option<u32>, message: String) {
        self.total += 1;
        if self.total <= ISSUES_MAX {
            self.found.push(Issue { offset, message });
        }
    }

    /// The text of all of them, by their place in `source`.
    pub(crate) fn into_error(mut self, source: &str) -> CompileError {
        self.found.sort_by_key(|issue| issue.offset);
        let mut texts: Vec<String> = self.found.iter().map(|issue| Displayed { issue, source }.to_string()).collect();
        if self.total > ISSUES_MAX {
            texts.push(format!("{} more errors were truncated", self.total - ISSUES_MAX));
        }
        CompileError(texts.join("\n"))
    }
}

/// An issue with the text that it is about.
struct Displayed<'a> {
    issue: &'a Issue,
    source: &'a str,
}

impl fmt::Display for Displayed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(offset) = self.issue.offset else {
            return write!(out, "ERROR: <input>:-1:0: {}", self.issue.message);
        };
        // An empty text has no line to show, and no column.
        if self.source.is_empty() {
            return write!(out, "ERROR: <input>:1:0: {}", self.issue.message);
        }
        let (line, column, text) = locate(self.source, offset as usize);
        write!(out, "ERROR: <input>:{line}:{}: {}", column + 1, self.issue.message)?;
        if text.len() > SNIPPET_BYTES_MAX {
            return Ok(());
        }
        write!(out, "\n | {}\n | ", text.replace('\t', " "))?;
        let mut characters = text.chars();
        for character in characters.by_ref().take(column) {
            out.write_str(if character.len_utf8() > 1 { "\u{ff0e}" } else { "." })?;
        }
        out.write_str(if characters.next().is_some_and(|next| next.len_utf8() > 1) { "\u{ff3e}" } else { "^" })
    }
}

/// The line (from 1) and column (from 0) of a character, and the line's text.
fn locate(source: &str, offset: usize) -> (usize, usize, &str) {
    let mut start = 0;
    let mut last = (1, offset, source);
    for (index, text) in source.split('\n').enumerate() {
        let length = text.chars().count();
        last = (index + 1, offset.saturating_sub(start), text);
        if offset <= start + length {
            break;
        }
        start += length + 1;
    }
    last
}
