//! Where in an object a walk is: a chain on the stack, printed only when there is something to report.

use crate::field::FieldPath;

/// The way from the object to the value at hand.
#[derive(Clone, Copy)]
pub(super) enum Trail<'a> {
    /// The object itself.
    Root,
    /// A field that the schema names.
    Field(&'a Trail<'a>, &'a str),
    /// An entry of a map (`additionalProperties`).
    Entry(&'a Trail<'a>, &'a str),
    /// An item of a list.
    Item(&'a Trail<'a>, usize),
}

impl Trail<'_> {
    /// As kube-openapi's validators spell it: entries of maps are fields too.
    pub(super) fn in_body(self) -> String {
        let mut text = String::new();
        self.write_in_body(&mut text);
        text
    }

    fn write_in_body(self, text: &mut String) {
        match self {
            Self::Root => {}
            Self::Field(parent, name) => {
                parent.write_in_body(text);
                push_field(text, name);
            }
            Self::Entry(parent, name) => {
                parent.write_in_body(text);
                text.push('.');
                text.push_str(name);
            }
            Self::Item(parent, index) => {
                parent.write_in_body(text);
                text.push_str(&format!("[{index}]"));
            }
        }
    }

    /// As field paths spell it, below `base`.
    pub(super) fn path(self, base: &FieldPath) -> FieldPath {
        match self {
            Self::Root => base.clone(),
            Self::Field(parent, name) => parent.path(base).child(name),
            Self::Entry(parent, name) => parent.path(base).key(name),
            Self::Item(parent, index) => parent.path(base).index(index),
        }
    }

    /// As `unknown field` warnings spell it.
    pub(super) fn unknown(self, name: &str) -> String {
        let mut text = String::new();
        self.write_in_fields(&mut text);
        push_field(&mut text, name);
        text
    }

    fn write_in_fields(self, text: &mut String) {
        match self {
            Self::Root => {}
            Self::Field(parent, name) | Self::Entry(parent, name) => {
                parent.write_in_fields(text);
                push_field(text, name);
            }
            Self::Item(parent, index) => {
                parent.write_in_fields(text);
                text.push_str(&format!("[{index}]"));
            }
        }
    }
}

fn push_field(text: &mut String, name: &str) {
    if !text.is_empty() {
        text.push('.');
    }
    text.push_str(name);
}
