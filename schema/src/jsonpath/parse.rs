//! From the text of a path to its steps, after `k8s.io/client-go/util/jsonpath/parser.go`, with its error texts.

use super::unquote::unquote;
use super::{Action, Node, Slice, SliceEnd};

/// The longest path that is parsed, in bytes.
pub const PATH_BYTES_MAX: usize = 4096;

/// Why a path does not parse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonPathError {
    /// A `}` is missing.
    #[error("unclosed action")]
    UnclosedAction,
    /// A character that begins no step.
    #[error("unrecognized character in action: {0}")]
    UnrecognizedCharacter(String),
    /// `....`
    #[error("invalid multiple recursive descent")]
    MultipleRecursiveDescent,
    /// Digits that are no number.
    #[error("cannot parse number {0}")]
    Number(String),
    /// A `]` is missing.
    #[error("unterminated array")]
    UnterminatedArray,
    /// Neither an index, a slice, a union nor a key in single quotes.
    #[error("invalid array index {0}")]
    ArrayIndex(String),
    /// A part of a slice that is too large or only a sign.
    #[error("array index {0} is not a number")]
    ArrayIndexNumber(String),
    /// A `)` is missing.
    #[error("unterminated filter")]
    UnterminatedFilter,
    /// A filter without its `]`.
    #[error("unclosed array expect ]")]
    UnclosedFilter,
    /// A closing quote is missing.
    #[error("unterminated quoted string")]
    UnterminatedQuote,
    /// An escape that Go does not know.
    #[error("unquote string {0} error invalid syntax")]
    Unquote(String),
    /// Longer than [`PATH_BYTES_MAX`].
    #[error("must have at most {PATH_BYTES_MAX} bytes")]
    TooLong,
}

/// Parses a whole template: text and `{…}` in turn.
pub(super) fn template(text: &str) -> Result<Vec<Action>, JsonPathError> {
    if text.len() > PATH_BYTES_MAX + 2 {
        return Err(JsonPathError::TooLong);
    }
    let mut actions = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        if open > 0 {
            actions.push(Action::Text(rest[..open].to_owned()));
        }
        let mut scanner = Scanner { input: &rest[open + 1..], pos: 0 };
        actions.push(Action::Path(scanner.action()?));
        rest = &rest[open + 1 + scanner.pos..];
    }
    if !rest.is_empty() {
        actions.push(Action::Text(rest.to_owned()));
    }
    Ok(actions)
}

/// Parses an expression inside of brackets as an action of its own; what follows a stray `}` in it is ignored.
fn expression(text: &str) -> Result<Vec<Node>, JsonPathError> {
    let text = format!("{text}}}");
    let mut scanner = Scanner { input: &text, pos: 0 };
    let nodes = scanner.action()?;
    template(&text[scanner.pos..])?;
    Ok(nodes)
}

struct Scanner<'a> {
    input: &'a str,
    pos: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    /// The byte before the character that was read last.
    fn escaped(&self) -> bool {
        self.pos.checked_sub(2).is_some_and(|at| self.input.as_bytes()[at] == b'\\')
    }

    /// Steps until the `}` that closes the action.
    fn action(&mut self) -> Result<Vec<Node>, JsonPathError> {
        let mut nodes = Vec::new();
        loop {
            if self.rest().starts_with("[?(") {
                nodes.push(self.filter()?);
                continue;
            }
            if self.rest().starts_with("..") {
                if matches!(nodes.last(), Some(Node::Recursive)) {
                    return Err(JsonPathError::MultipleRecursiveDescent);
                }
                self.pos += 2;
                nodes.push(Node::Recursive);
                if self.peek().is_some_and(is_alphanumeric) {
                    nodes.push(self.field());
                }
                continue;
            }
            let start = self.pos;
            match self.next() {
                Some('}') => return Ok(nodes),
                None | Some('\r' | '\n') => return Err(JsonPathError::UnclosedAction),
                Some(' ' | '@' | '$') => {}
                Some('[') => self.array(start, &mut nodes)?,
                Some(quote @ ('"' | '\'')) => nodes.push(self.quote(start, quote)?),
                Some('.') => nodes.push(self.field()),
                Some(c) if c == '+' || c == '-' || is_digit(c) => nodes.push(self.number(start)?),
                Some(c) if is_alphanumeric(c) => nodes.push(self.identifier(start)),
                Some(c) => return Err(JsonPathError::UnrecognizedCharacter(describe(c))),
            }
        }
    }

    fn field(&mut self) -> Node {
        let start = self.pos;
        while let Some(c) = self.peek().filter(|c| !is_terminator(*c)) {
            self.pos += c.len_utf8();
            if c == '\\' {
                self.next();
            }
        }
        match &self.input[start..self.pos] {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        }
    }

    fn identifier(&mut self, start: usize) -> Node {
        while self.peek().is_some_and(|c| !is_terminator(c)) {
            self.next();
        }
        match &self.input[start..self.pos] {
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            name => Node::Identifier(name.to_owned()),
        }
    }

    fn number(&mut self, start: usize) -> Result<Node, JsonPathError> {
        while self.peek().is_some_and(|c| c == '.' || is_digit(c)) {
            self.next();
        }
        let text = &self.input[start..self.pos];
        if let Ok(int) = text.parse() {
            return Ok(Node::Int(int));
        }
        match text.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Node::Float(float)),
            _ => Err(JsonPathError::Number(text.to_owned())),
        }
    }

    fn quote(&mut self, start: usize, quote: char) -> Result<Node, JsonPathError> {
        loop {
            match self.next() {
                None | Some('\n') => return Err(JsonPathError::UnterminatedQuote),
                Some(c) if c == quote && !self.escaped() => break,
                Some(_) => {}
            }
        }
        let text = &self.input[start..self.pos];
        unquote(text).map(Node::Text).ok_or_else(|| JsonPathError::Unquote(text.to_owned()))
    }

    fn array(&mut self, start: usize, nodes: &mut Vec<Node>) -> Result<(), JsonPathError> {
        loop {
            match self.next() {
                None | Some('\n') => return Err(JsonPathError::UnterminatedArray),
                Some(']') => break,
                Some(_) => {}
            }
        }
        let text = match &self.input[start + 1..self.pos - 1] {
            "*" => ":",
            text => text,
        };
        if text.contains(',') {
            let members = text.split(',').map(|member| expression(&format!("[{}]", member.trim_matches(' '))));
            nodes.push(Node::Union(members.collect::<Result<_, _>>()?));
        } else if let Some(key) =
            text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')).filter(|k| !k.contains('\''))
        {
            nodes.extend(expression(&format!(".{key}"))?);
        } else {
            nodes.push(Node::Slice(slice(text)?));
        }
        Ok(())
    }

    fn filter(&mut self) -> Result<Node, JsonPathError> {
        self.pos += "[?(".len();
        let start = self.pos;
        let mut quote = None;
        let mut closed = false;
        loop {
            match self.next() {
                None | Some('\n') => return Err(JsonPathError::UnterminatedFilter),
                Some(c @ ('"' | '\'')) => match quote {
                    None => quote = Some(c),
                    Some(open) => closed |= c == open && !self.escaped(),
                },
                Some(')') if quote.is_some() == closed => break,
                Some(_) => {}
            }
        }
        let text = &self.input[start..self.pos - 1];
        if self.next() != Some(']') {
            return Err(JsonPathError::UnclosedFilter);
        }
        match comparison(text) {
            None => Ok(Node::Exists(expression(text)?)),
            Some((left, operator, right)) => {
                Ok(Node::Compare { left: expression(left)?, operator: operator.to_owned(), right: expression(right)? })
            }
        }
    }
}

/// Splits `left operator right` as the expression `^([^!<>=]+)([!<>=]+)(.+?)$` does.
fn comparison(text: &str) -> Option<(&str, &str, &str)> {
    let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
    let (left, rest) = text.split_at(text.find(is_operator).filter(|at| *at > 0)?);
    let end = rest.find(|c| !is_operator(c)).unwrap_or(rest.len() - 1);
    let (operator, right) = rest.split_at(end);
    (!operator.is_empty()).then_some((left, operator, right))
}

/// `start:end:step`, each of them optional, as `^(-?[\d]*)(:-?[\d]*)?(:-?[\d]*)?$` reads it.
fn slice(text: &str) -> Result<Slice, JsonPathError> {
    let parts: Vec<&str> = text.split(':').collect();
    let well_formed = |part: &&str| part.strip_prefix('-').unwrap_or(part).bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() > 3 || !parts.iter().all(well_formed) {
        return Err(JsonPathError::ArrayIndex(text.to_owned()));
    }
    let number = |part: &str| match part {
        "" => Ok(None),
        part => part.parse::<i64>().map(Some).map_err(|_| JsonPathError::ArrayIndexNumber(part.to_owned())),
    };
    let start = number(parts.first().copied().unwrap_or_default())?;
    let end = match parts.get(1) {
        None => SliceEnd::AfterStart(start.unwrap_or(0).saturating_add(1)),
        Some(part) => number(part)?.map_or(SliceEnd::Open, SliceEnd::At),
    };
    Ok(Slice { start, end, step: number(parts.get(2).copied().unwrap_or_default())? })
}

/// A character as Go's `%#U` prints it.
fn describe(c: char) -> String {
    if c.is_control() { format!("U+{:04X}", u32::from(c)) } else { format!("U+{:04X} '{c}'", u32::from(c)) }
}

fn is_terminator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}')
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric())
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphabetic() || is_digit(c)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::jsonpath::JsonPath;

    #[rstest]
    #[case(".a{", "unrecognized character in action: U+007B '{'")]
    #[case("{.a", "unclosed action")]
    #[case(".a\n", "unclosed action")]
    #[case("!a", "unrecognized character in action: U+0021 '!'")]
    #[case("....a", "invalid multiple recursive descent")]
    #[case("..*", "unrecognized character in action: U+002A '*'")]
    #[case(".a[", "unterminated array")]
    #[case(".a[\"b\"]", "invalid array index \"b\"")]
    #[case(".a[b]", "invalid array index b")]
    #[case(".a[1:2:3:4]", "invalid array index 1:2:3:4")]
    #[case(".a[-]", "array index - is not a number")]
    #[case(".a[99999999999999999999]", "array index 99999999999999999999 is not a number")]
    #[case(".a[0,b]", "invalid array index b")]
    #[case(".a[?(@.b", "unterminated filter")]
    #[case(".a[?(@.b==\"c)]", "unterminated filter")]
    #[case(".a[?(@.b)", "unclosed array expect ]")]
    #[case("'a", "unterminated quoted string")]
    #[case(r"'\q'", r"unquote string '\q' error invalid syntax")]
    #[case("1.2.3", "cannot parse number 1.2.3")]
    fn refuses_with_the_words_of_client_go(#[case] path: &str, #[case] message: &str) {
        assert_eq!(JsonPath::parse(path).unwrap_err().to_string(), message, "{path}");
    }

    #[test]
    fn a_path_has_a_longest_length() {
        assert!(JsonPath::parse(&"a".repeat(PATH_BYTES_MAX)).is_ok());
        assert_eq!(JsonPath::parse(&"a".repeat(PATH_BYTES_MAX + 1)), Err(JsonPathError::TooLong));
    }

    #[test]
    fn comparisons_split_like_the_regular_expression() {
        assert_eq!(comparison("@.a==1"), Some(("@.a", "==", "1")));
        assert_eq!(comparison("@.a=="), Some(("@.a", "=", "=")));
        assert_eq!(comparison("@.a="), None);
        assert_eq!(comparison("==1"), None);
        assert_eq!(comparison("@.a"), None);
    }
}
