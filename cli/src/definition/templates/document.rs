//! Where in a stream of YAML documents a template prints something: as a document of its own, or inside of one.

use std::collections::BTreeSet;

use super::ValuePath;

/// How much of a line matters, in bytes.
const LINE_BYTES_MAX: usize = 256;

/// What is printed so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    /// The line that has not ended.
    line: String,
    place: Place,
    /// Whether it is a `List`, whose items are documents.
    is_list: bool,
    /// The lists of which an item says the kind of the document.
    kind_of: BTreeSet<ValuePath>,
    /// The same for its apiVersion.
    version_of: BTreeSet<ValuePath>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing of the document is there yet.
    #[default]
    Start,
    /// In the items of a `List`, before one.
    Items,
    Inside,
}

/// What something is that is printed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// A whole document.
    Whole,
    /// The `kind` of the document.
    Kind,
    /// The `apiVersion` of the document.
    ApiVersion,
    /// Another part of it.
    Part,
    Comment,
}

impl Document {
    /// Text that the template has.
    pub(super) fn text(&mut self, text: &str) {
        let mut lines = text.split('\n');
        self.push(lines.next().unwrap_or_default());
        for line in lines {
            self.end_line();
            self.push(line);
        }
    }

    fn push(&mut self, text: &str) {
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
        self.line.push_str(&text[..text.floor_char_boundary(room)]);
    }

    /// Whether a line begins another document.
    fn is_separator(&self) -> bool {
        self.line.trim_end() == "---" || self.line.starts_with("--- ")
    }

    fn end_line(&mut self) {
        let line = self.line.trim();
        if self.is_separator() {
            *self = Self::default();
            return;
        }
        if !(line.is_empty() || line.starts_with('#')) {
            self.place = match line {
                "items:" if self.is_list && self.line.starts_with("items") => Place::Items,
                "-" if self.place == Place::Items => Place::Items,
                _ => Place::Inside,
            };
            self.is_list |= self.line.trim_end() == "kind: List";
        }
        self.line.clear();
    }

    /// What would be printed now is that. A separator without an end of its line counts: who prints a document behind it
    /// begins another line.
    pub(super) fn position(&self) -> Position {
        let before = self.line.trim();
        match self.place {
            _ if before.starts_with('#') => Position::Comment,
            _ if self.is_separator() => Position::Whole,
            Place::Start if before.is_empty() => Position::Whole,
            Place::Items if matches!(before, "" | "-") => Position::Whole,
            _ => match self.line.trim_end().trim_end_matches(['"', '\'']).trim_end() {
                "kind:" => Position::Kind,
                "apiVersion:" => Position::ApiVersion,
                _ => Position::Part,
            },
        }
    }

    /// Something is printed that is no whole document.
    pub(super) fn print(&mut self) {
        if self.is_separator() {
            *self = Self::default();
        }
        self.push("x");
    }

    /// One or more whole documents, or items, are printed.
    pub(super) fn print_whole(&mut self) {
        if self.is_separator() {
            *self = Self::default();
        }
        self.line.clear();
    }

    /// Items of lists say the kind or the apiVersion. Returns the lists whose items say both: they may be any object.
    pub(super) fn typed(&mut self, position: Position, lists: BTreeSet<ValuePath>) -> Vec<ValuePath> {
        match position {
            Position::Kind => self.kind_of.extend(lists),
            _ => self.version_of.extend(lists),
        }
        self.kind_of.intersection(&self.version_of).cloned().collect()
    }

    /// Whether nothing of a document is there.
    pub(super) fn is_at_start(&self) -> bool {
        self.place == Place::Start && (self.line.trim().is_empty() || self.is_separator())
    }

    /// How it goes on after one of two ways.
    pub(super) fn or(self, other: Self) -> Self {
        let is_list = self.is_list || other.is_list;
        let went = if self.place == Place::Start && other.place != Place::Start { other } else { self };
        Self { is_list, ..went }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn after(text: &str, wanted: Position) {
        let mut document = Document::default();
        document.text(text);
        assert_eq!(document.position(), wanted, "{text:?}");
    }

    #[test]
    fn what_is_printed_is_a_document_or_a_part_of_one() {
        for text in ["", "\n", "---", "---\n", "# Source\n\n", "a: 1\n---\n", "a: 1\n--- # x\n  "] {
            after(text, Position::Whole);
        }
        let list = "apiVersion: v1\nkind: List\nitems:";
        for text in ["\n", "\n  ", "\n- ", "\n  - "] {
            after(&format!("{list}{text}"), Position::Whole);
        }
        for text in ["a: ", "a: 1\n", "a:\n- ", "- ", "a: |\n  ---\n  ", "kind: Map\nitems:\n- "] {
            after(text, Position::Part);
        }
        after(&format!("{list}\n- a: 1\n  "), Position::Part);
        after("a: 1\n# ", Position::Comment);
        after("apiVersion: \"", Position::ApiVersion);
        after("apiVersion: v1\nkind: ", Position::Kind);
        after("spec:\n  kind: ", Position::Part);
    }
}
