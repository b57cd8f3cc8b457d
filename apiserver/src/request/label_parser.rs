//! The grammar of label selectors, token by token as apimachinery pkg/labels/selector.go has it, with its texts.

use std::collections::BTreeSet;

use super::error::{Cause, aggregate};
use super::go_text;
use super::label_selector::{LabelOperator, LabelRequirement};
use super::label_syntax::{key_problems, value_problems};

const BINARY_OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

/// Reads every requirement, in the order in which they stand.
pub(super) fn parse(selector: &str) -> Result<Vec<LabelRequirement>, String> {
    Parser { tokens: scan(selector), position: 0 }.parse()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Error,
    End,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Identifier,
    In,
    Less,
    NotEquals,
    NotIn,
    Open,
}

type Item = (Token, String);

fn symbol(text: &str) -> Option<Token> {
    Some(match text {
        ")" => Token::Close,
        "," => Token::Comma,
        "!" => Token::Not,
        "==" => Token::DoubleEquals,
        "=" => Token::Equals,
        ">" => Token::Greater,
        "<" => Token::Less,
        "!=" => Token::NotEquals,
        "(" => Token::Open,
        _ => return None,
    })
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_symbol(character: char) -> bool {
    matches!(character, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

/// Cuts the text into tokens; the last is [`Token::End`]. As in Go's scanner a NUL ends a token and is lost, and ends
/// the text where a token should begin.
fn scan(text: &str) -> Vec<Item> {
    let mut rest = text;
    let mut items = Vec::new();
    loop {
        rest = rest.trim_start_matches(is_space);
        let (length, token) = match rest.chars().next() {
            None | Some('\0') => {
                items.push((Token::End, String::new()));
                return items;
            }
            Some(first) if is_symbol(first) => {
                // The longest of one or two characters that is a token; every single one is.
                let two = rest.get(..2).and_then(symbol).map(|token| (2, token));
                two.unwrap_or((1, symbol(&rest[..1]).unwrap_or(Token::Error)))
            }
            Some(_) => {
                let length = rest
                    .find(|character| character == '\0' || is_symbol(character) || is_space(character))
                    .unwrap_or(rest.len());
                let token = match &rest[..length] {
                    "in" => Token::In,
                    "notin" => Token::NotIn,
                    _ => Token::Identifier,
                };
                (length, token)
            }
        };
        let (literal, after) = rest.split_at(length);
        items.push((token, literal.to_owned()));
        rest = after.strip_prefix('\0').unwrap_or(after);
    }
}

struct Parser {
    tokens: Vec<Item>,
    position: usize,
}

impl Parser {
    fn at(&self) -> (Token, &str) {
        self.tokens.get(self.position).map_or((Token::End, ""), |(token, literal)| (*token, literal))
    }

    /// The next token where a key or a value stands: `in` and `notin` are words there like any other.
    fn peek(&self) -> (Token, &str) {
        match self.at() {
            (Token::In | Token::NotIn, literal) => (Token::Identifier, literal),
            other => other,
        }
    }

    fn take(&mut self) -> (Token, String) {
        let (token, literal) = self.peek();
        let taken = (token, literal.to_owned());
        self.position += 1;
        taken
    }

    fn parse(&mut self) -> Result<Vec<LabelRequirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                (Token::Identifier | Token::Not, _) => {}
                (Token::End, _) => return Ok(requirements),
                (_, found) => return Err(format!("found '{found}', expected: !, identifier, or 'end of string'")),
            }
            let requirement =
                self.requirement().map_err(|problem| format!("unable to parse requirement: {problem}"))?;
            requirements.push(requirement);
            match self.take() {
                (Token::End, _) => return Ok(requirements),
                (Token::Comma, _) => {
                    if let (token, found) = self.peek()
                        && !matches!(token, Token::Identifier | Token::Not)
                    {
                        return Err(format!("found '{found}', expected: identifier after ','"));
                    }
                }
                (_, found) => return Err(format!("found '{found}', expected: ',' or 'end of string'")),
            }
        }
    }

    fn requirement(&mut self) -> Result<LabelRequirement, String> {
        let (mut token, mut key) = self.take();
        let negated = token == Token::Not;
        if negated {
            (token, key) = self.take();
        }
        if token != Token::Identifier {
            return Err(format!("found '{key}', expected: identifier"));
        }
        let problems = key_problems(&key);
        if !problems.is_empty() {
            return Err(Cause::invalid("<nil>", &key, &problems.join("; ")).to_string());
        }
        if negated {
            return Ok(LabelRequirement { key, operator: LabelOperator::DoesNotExist, values: Vec::new() });
        }
        if matches!(self.peek().0, Token::End | Token::Comma) {
            return Ok(LabelRequirement { key, operator: LabelOperator::Exists, values: Vec::new() });
        }
        let operator = self.operator()?;
        let values = match operator {
            LabelOperator::In | LabelOperator::NotIn => self.values()?,
            _ => BTreeSet::from([self.exact_value()?]),
        };
        checked(key, operator, values.into_iter().collect())
    }

    fn operator(&mut self) -> Result<LabelOperator, String> {
        let (token, found) = self.at();
        let operator = match token {
            Token::In => LabelOperator::In,
            Token::NotIn => LabelOperator::NotIn,
            Token::Equals => LabelOperator::Equals,
            Token::DoubleEquals => LabelOperator::DoubleEquals,
            Token::NotEquals => LabelOperator::NotEquals,
            Token::Greater => LabelOperator::GreaterThan,
            Token::Less => LabelOperator::LessThan,
            _ => return Err(format!("found '{found}', expected: {BINARY_OPERATORS}")),
        };
        self.position += 1;
        Ok(operator)
    }

    fn exact_value(&mut self) -> Result<String, String> {
        if matches!(self.peek().0, Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.take() {
            (Token::Identifier, value) => Ok(value),
            (_, found) => Err(format!("found '{found}', expected: identifier")),
        }
    }

    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let (token, found) = self.take();
        if token != Token::Open {
            return Err(format!("found '{found}' expected: '('"));
        }
        let values = match self.peek() {
            (Token::Identifier | Token::Comma, _) => self.value_list()?,
            (Token::Close, _) => BTreeSet::from([String::new()]),
            (_, found) => return Err(format!("found '{found}', expected: ',', ')' or identifier")),
        };
        // Both ways end before a closing parenthesis.
        self.position += 1;
        Ok(values)
    }

    /// The values up to the closing parenthesis; nothing between two commas is the empty value.
    fn value_list(&mut self) -> Result<BTreeSet<String>, String> {
        let mut values = BTreeSet::new();
        loop {
            match self.take() {
                (Token::Identifier, value) => {
                    values.insert(value);
                    match self.peek() {
                        (Token::Comma, _) => {}
                        (Token::Close, _) => return Ok(values),
                        (_, found) => return Err(format!("found '{found}', expected: ',' or ')'")),
                    }
                }
                (Token::Comma, _) => {
                    let next = self.peek().0;
                    if values.is_empty() || matches!(next, Token::Close | Token::Comma) {
                        values.insert(String::new());
                    }
                    if next == Token::Close {
                        return Ok(values);
                    }
                }
                (_, found) => return Err(format!("found '{found}', expected: ',', or identifier")),
            }
        }
    }
}

/// Checks the values (NewRequirement); the key has been checked.
fn checked(key: String, operator: LabelOperator, values: Vec<String>) -> Result<LabelRequirement, String> {
    let mut causes = Vec::new();
    if matches!(operator, LabelOperator::GreaterThan | LabelOperator::LessThan) {
        for (index, value) in values.iter().enumerate() {
            if go_text::parse_int(value).is_err() {
                let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
                causes.push(Cause::invalid(&format!("values[{index}]"), value, detail));
            }
        }
    }
    for (index, value) in values.iter().enumerate() {
        let problems = value_problems(value);
        if !problems.is_empty() {
            causes.push(Cause::invalid(&format!("values[{index}][{key}]"), value, &problems.join("; ")));
        }
    }
    if causes.is_empty() { Ok(LabelRequirement { key, operator, values }) } else { Err(aggregate(&causes)) }
}
