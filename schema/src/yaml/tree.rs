//! From a text to the nodes of its documents.
//!
//! Follows go.yaml.in/yaml/v2: readerc.go (encodings, characters), decode.go (`parser`).

use std::{borrow::Cow, collections::HashMap};

use granit_parser::{Event, Parser, ScalarStyle, StrInput, StructureStyle, Tag};

use super::YamlError;
use crate::decode::JSON_DEPTH_MAX;

/// How many characters a key without `?` has at most, as in libyaml.
const SIMPLE_KEY_CHARS_MAX: usize = 1024;

/// The nodes of one document.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) root: usize,
}

/// A node, and the line where it begins, counted from 1.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar {
        text: String,
        /// The whole tag; empty without one.
        tag: String,
        /// Plain without a tag, or with the tag `!`.
        implicit: bool,
    },
    Sequence(Vec<usize>),
    /// Keys and values by turns.
    Mapping(Vec<usize>),
    /// The node that is meant.
    Alias(usize),
}

/// The text of bytes in UTF-8 or, with a byte order mark, UTF-16.
///
/// # Errors
/// When the bytes are no text, or hold control characters.
pub(super) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, YamlError> {
    let unreadable = |what: &str| YamlError::Undecodable(what.to_owned());
    let units = |of: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let decoded = char::decode_utf16(pairs.iter().skip(1).map(|pair| of(*pair))).collect::<Result<String, _>>();
        if rest.is_empty() { decoded.ok().map(Cow::Owned) } else { None }
    };
    let text = match bytes {
        [0xFF, 0xFE, ..] => units(u16::from_le_bytes).ok_or_else(|| unreadable("incomplete UTF-16 character"))?,
        [0xFE, 0xFF, ..] => units(u16::from_be_bytes).ok_or_else(|| unreadable("incomplete UTF-16 character"))?,
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest)?,
        _ => utf8(bytes)?,
    };
    if let Some(at) = text.find(|c| !is_allowed(c)) {
        let line = text[..at].matches('\n').count() + 1;
        return Err(YamlError::Syntax { line, problem: "control characters are not allowed".to_owned() });
    }
    Ok(text)
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, YamlError> {
    let text = std::str::from_utf8(bytes);
    text.map(Cow::Borrowed).map_err(|_| YamlError::Undecodable("invalid UTF-8 octet".to_owned()))
}

fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}')
        || c >= '\u{10000}'
}

/// The documents of a text, one after the other.
pub(super) struct Documents<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    has_failed: bool,
}

impl<'a> Documents<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let options = granit_parser::options! {
            // Charts have more comments in a row than the parser would keep.
            emit_comments: false,
            block_scalar_eof_without_line_feed: true,
            emit_anchor_events: true,
            simple_key_max_lookahead: SIMPLE_KEY_CHARS_MAX,
            flow_nesting_limit: JSON_DEPTH_MAX,
            block_nesting_limit: JSON_DEPTH_MAX,
        };
        Self { text, parser: Parser::new_from_str_with_options(text, options), has_failed: false }
    }

    fn next_tree(&mut self) -> Result<Option<Tree>, YamlError> {
        let mut tree = Tree::default();
        let mut anchors = HashMap::new();
        // Collections that are not closed, with their children so far.
        let mut open: Vec<Open> = Vec::new();
        loop {
            let Some(next) = self.parser.next() else { return Ok(None) };
            let (event, span) =
                next.map_err(|error| YamlError::Syntax { line: error.marker().line(), problem: error.info() })?;
            let line = span.tag_start.map_or(span.start.line(), |tag| tag.line().min(span.start.line()));
            let rest = |from: Option<usize>| from.and_then(|at| self.text.get(at..)).unwrap_or_default();
            let is_in_flow = open.last().is_some_and(|parent| parent.style == StructureStyle::Flow);
            let (kind, style, anchor) = match event {
                Event::StreamEnd => return Ok(None),
                Event::DocumentEnd => return Ok(Some(tree)),
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(closed) = open.pop() {
                        tree.settle_pair(&closed);
                    }
                    continue;
                }
                Event::Anchor(_, name) => {
                    check_anchor(&name, line)?;
                    if let Some(node) = tree.nodes.last_mut() {
                        node.line = node.line.min(line);
                    }
                    continue;
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let tag = tag.map(|tag| whole(&tag)).unwrap_or_default();
                    let implicit = tag == "!" || tag.is_empty() && style == ScalarStyle::Plain;
                    // The parser says `~` where nothing stands.
                    let is_absent = style == ScalarStyle::Plain && span.start.index() == span.end.index();
                    let mut text = if is_absent { String::new() } else { text.into_owned() };
                    match style {
                        ScalarStyle::Plain if is_in_flow => {
                            check_flow_word(&text, line)?;
                            // A colon is part of a word that ends with it.
                            let rest = rest(span.end.byte_offset());
                            let is_word = !text.is_empty() && !rest.starts_with(char::is_whitespace);
                            if is_word && [":,", ":]", ":}"].iter().any(|end| rest.starts_with(end)) {
                                text.push(':');
                                if let Some(parent) = open.last_mut() {
                                    parent.is_word = true;
                                }
                            }
                        }
                        ScalarStyle::DoubleQuoted => {
                            check_escapes(span.slice(self.text).unwrap_or_default(), line)?;
                        }
                        _ => {}
                    }
                    (Kind::Scalar { text, tag, implicit }, Some(style), anchor)
                }
                Event::SequenceStart(style, anchor, _) => {
                    let opened = Open { index: tree.nodes.len(), style, is_pair: false, is_word: false };
                    tree.push(line, Kind::Sequence(Vec::new()), open.last());
                    open.push(opened);
                    if anchor != 0 {
                        anchors.insert(anchor, tree.nodes.len() - 1);
                    }
                    continue;
                }
                Event::MappingStart(style, anchor, _) => {
                    let has_brace = rest(span.start.byte_offset()).starts_with('{');
                    let is_pair = style == StructureStyle::Flow && !has_brace;
                    let opened = Open { index: tree.nodes.len(), style, is_pair, is_word: false };
                    tree.push(line, Kind::Mapping(Vec::new()), open.last());
                    open.push(opened);
                    if anchor != 0 {
                        anchors.insert(anchor, tree.nodes.len() - 1);
                    }
                    continue;
                }
                Event::Alias(anchor) => match anchors.get(&anchor) {
                    Some(target) => (Kind::Alias(*target), None, 0),
                    None => return Err(YamlError::Undecodable("unknown anchor referenced".to_owned())),
                },
                // A beginning says nothing, and what tells of the text alone is not asked for.
                _ => continue,
            };
            if anchor != 0 {
                anchors.insert(anchor, tree.nodes.len());
            }
            // The parser tells where the lines of a block begin, Go where its mark is: behind the key.
            let is_block = matches!(style, Some(ScalarStyle::Literal | ScalarStyle::Folded));
            let before = tree.nodes.last().filter(|_| is_block && !open.is_empty()).map(|node| node.line);
            tree.push(before.unwrap_or(line), kind, open.last());
        }
    }
}

/// A collection that is not closed.
struct Open {
    index: usize,
    style: StructureStyle,
    /// A pair in a flow sequence, without braces.
    is_pair: bool,
    /// Its key is a word that ends with a colon.
    is_word: bool,
}

impl Tree {
    fn push(&mut self, line: usize, kind: Kind, parent: Option<&Open>) {
        let index = self.nodes.len();
        self.nodes.push(Node { line, kind });
        match parent.and_then(|parent| self.nodes.get_mut(parent.index)).map(|parent| &mut parent.kind) {
            Some(Kind::Sequence(children) | Kind::Mapping(children)) => children.push(index),
            _ => self.root = index,
        }
    }

    /// Makes a word of a pair that is none: `[a:]` has the item `a:`.
    fn settle_pair(&mut self, closed: &Open) {
        if !(closed.is_pair && closed.is_word) {
            return;
        }
        let Some(Kind::Mapping(children)) = self.nodes.get(closed.index).map(|node| &node.kind) else { return };
        let Some(key) = children.first().copied() else { return };
        if let Some(Kind::Scalar { text, tag, implicit }) = self.nodes.get(key).map(|node| &node.kind) {
            let kind = Kind::Scalar { text: text.clone(), tag: tag.clone(), implicit: *implicit };
            if let Some(node) = self.nodes.get_mut(closed.index) {
                node.kind = kind;
            }
        }
    }
}

/// Refuses what libyaml does not take for a word between brackets.
fn check_flow_word(text: &str, line: usize) -> Result<(), YamlError> {
    let problem = if text.starts_with(':') {
        "did not find expected node content"
    } else if text.contains('?') {
        "did not find expected ',' or ']'"
    } else {
        return Ok(());
    };
    Err(YamlError::Syntax { line, problem: problem.to_owned() })
}

/// Refuses names of anchors that libyaml refuses.
fn check_anchor(name: &str, line: usize) -> Result<(), YamlError> {
    if name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        return Ok(());
    }
    Err(YamlError::Syntax { line, problem: "did not find expected alphabetic or numeric character".to_owned() })
}

/// Refuses `\\/`, which JSON has and YAML 1.1 has not.
fn check_escapes(quoted: &str, line: usize) -> Result<(), YamlError> {
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' && letters.next() == Some('/') {
            return Err(YamlError::Syntax { line, problem: "found unknown escape character".to_owned() });
        }
    }
    Ok(())
}

/// A tag with its handle.
fn whole(tag: &Tag) -> String {
    format!("{}{}", tag.handle(), tag.suffix())
}

impl Iterator for Documents<'_> {
    type Item = Result<Tree, YamlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let next = self.next_tree().transpose();
        self.has_failed = matches!(next, Some(Err(_)));
        next
    }
}
