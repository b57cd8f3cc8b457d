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
pub struct CompileError {
    issues: Issues,
    /// The text that the places of the issues are of.
    text: String,
}

/// The issues of one expression.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Issues {
    found: Vec<Issue>,
    /// How many there were, also those beyond the limit.
    total: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Issue {
    /// Where in the text, in characters; none for issues of the whole.
    offset: Option<u32>,
    message: String,
}

impl Issues {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Notes that something is wrong at `offset`, which counts characters.
    pub fn report(&mut self, offset: Option<u32>, message: String) {
        self.total += 1;
        if self.total <= ISSUES_MAX {
            self.found.push(Issue { offset, message });
        }
    }

    /// All of them as one error, by their place in `source`.
    pub fn into_error(mut self, source: &str) -> CompileError {
        self.found.sort_by_key(|issue| issue.offset);
        CompileError { issues: self, text: source.to_owned() }
    }
}

impl CompileError {
    /// The same error of an expression that stands within `text`, after so many characters: places are those of `text`.
    pub fn within(mut self, text: &str, before: u32) -> Self {
        for issue in &mut self.issues.found {
            issue.offset = Some(issue.offset.unwrap_or(0).saturating_add(before));
        }
        text.clone_into(&mut self.text);
        self
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, issue) in self.issues.found.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            write!(out, "{newline}{}", Displayed { issue, source: &self.text })?;
        }
        match self.issues.total.checked_sub(ISSUES_MAX) {
            Some(more) if more > 0 => write!(out, "\n{more} more errors were truncated"),
            _ => Ok(()),
        }
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
