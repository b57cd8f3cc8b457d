//! What a line of YAML is, as far as comments need it: no parser, so that text it does not know has no description.

/// A line without its indentation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Blank,
    /// What follows the first `#`.
    Comment(&'a str),
    /// An item of a list; the value, and how much deeper it stands.
    Item {
        inner: usize,
        value: &'a str,
    },
    Key {
        name: String,
        value: &'a str,
        trailing: Option<&'a str>,
    },
    Other,
}

impl<'a> Line<'a> {
    pub(super) fn of(trimmed: &'a str) -> Self {
        if trimmed.is_empty() {
            return Self::Blank;
        }
        if let Some(comment) = trimmed.strip_prefix('#') {
            return Self::Comment(comment);
        }
        if let Some(item) = trimmed.strip_prefix('-').filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
            let item = item.trim_start();
            // Of `- key: |` it is the indentation of the key that counts; of `- |` that of the dash.
            return match key(item) {
                Some((_, value)) => Self::Item { inner: trimmed.len() - item.len(), value },
                None => Self::Item { inner: 0, value: item },
            };
        }
        match key(trimmed) {
            Some((name, rest)) => {
                let (value, trailing) = split_comment(rest);
                Self::Key { name, value, trailing }
            }
            None => Self::Other,
        }
    }
}

/// `key: value`.
fn key(line: &str) -> Option<(String, &str)> {
    let (name, rest) = match line.chars().next()? {
        quote @ ('"' | '\'') => {
            let (name, rest) = line.get(1..)?.split_once(quote)?;
            let rest = rest.trim_start().strip_prefix(':')?;
            (name, rest.strip_prefix(' ').or(rest.is_empty().then_some(""))?)
        }
        '{' | '[' | '&' | '*' | '?' | '|' | '>' | '!' | '%' | '@' | '`' | '}' | ']' | ',' => return None,
        _ => line.split_once(": ").or_else(|| Some((line.trim_end().strip_suffix(':')?, "")))?,
    };
    let is_name = !name.trim().is_empty() && !name.contains(" #");
    is_name.then(|| (name.trim().to_owned(), rest.trim()))
}

/// A value and the comment behind it: `#` in quotes or inside of a word begins none.
fn split_comment(value: &str) -> (&str, Option<&str>) {
    let mut quote = None;
    let mut before = ' ';
    let starts_quoted = value.starts_with(['"', '\'', '[', '{']);
    let mut letters = value.char_indices();
    while let Some((at, letter)) = letters.next() {
        match quote {
            Some('"') if letter == '\\' => drop(letters.next()),
            Some(open) => quote = quote.filter(|_| letter != open),
            None if starts_quoted && matches!(letter, '"' | '\'') => quote = Some(letter),
            None if letter == '#' && before.is_whitespace() => {
                let (value, comment) = value.split_at(at);
                return (value.trim_end(), comment.strip_prefix('#'));
            }
            None => {}
        }
        before = letter;
    }
    (value, None)
}

/// A value that goes on in the next lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// Text in lines deeper than this.
    Block(usize),
    /// Text up to this quote.
    Quoted(char),
    /// A list or a map in brackets, of which so many are open.
    Flow(usize),
}

impl Opened {
    /// By a value behind a key of this indentation, or an item.
    pub(super) fn by(value: &str, indent: usize) -> Option<Self> {
        let tag_or_anchor = |word: &&str| word.starts_with(['&', '!']);
        let mut words = value.split_whitespace().skip_while(tag_or_anchor);
        let first = words.next()?;
        let header = first.trim_start_matches(['|', '>']);
        let is_block = header.len() + 1 == first.len() && header.chars().all(|it| matches!(it, '+' | '-' | '0'..='9'));
        if is_block {
            return Some(Self::Block(indent));
        }
        let start = value.find(first).unwrap_or_default();
        let value = value.get(start..).unwrap_or_default();
        match value.chars().next() {
            Some(quote @ ('"' | '\'')) => Self::Quoted(quote).after(value.get(1..).unwrap_or_default()),
            Some('[' | '{') => Self::Flow(0).after(value),
            _ => None,
        }
    }

    /// What is still open after a line.
    pub(super) fn after(self, line: &str) -> Option<Self> {
        match self {
            Self::Block(indent) => {
                let is_inside = line.trim().is_empty() || line.len() - line.trim_start().len() > indent;
                is_inside.then_some(self)
            }
            Self::Quoted(quote) => {
                let mut letters = line.chars();
                while let Some(letter) = letters.next() {
                    if letter == '\\' && quote == '"' {
                        letters.next();
                    } else if letter == quote && (quote == '"' || !letters.as_str().starts_with('\'')) {
                        return None;
                    } else if letter == quote {
                        letters.next();
                    }
                }
                Some(self)
            }
            Self::Flow(open) => {
                let line = without_comment(line);
                let mut quote = None;
                let mut depth = open;
                for letter in line.chars() {
                    match (quote, letter) {
                        (Some(open), _) => quote = quote.filter(|_| letter != open),
                        (None, '"' | '\'') => quote = Some(letter),
                        (None, '[' | '{') => depth += 1,
                        (None, ']' | '}') => depth = depth.saturating_sub(1),
                        (None, _) => {}
                    }
                }
                (depth > 0).then_some(Self::Flow(depth))
            }
        }
    }

    /// Whether a line that ends it is no part of it any more.
    pub(super) fn is_over_before(self, line: &str) -> bool {
        matches!(self, Self::Block(_)) && !line.trim().is_empty()
    }
}

/// A line inside of brackets.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') { "" } else { split_comment(line).0 }
}
