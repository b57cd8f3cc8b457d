//! What a template of Go says, as a tree: text, actions, and what is inside of `if`, `range`, `with` and `define`.
//!
//! Source: text/template/parse of Go. What cannot be read is no error to anybody but this program, so there is one
//! outcome for it: none.

/// How deep actions and parentheses are followed.
const DEPTH_MAX: usize = 64;

/// A part of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    /// An action whose outcome is printed.
    Output(Pipeline),
    /// `$name := …` and `$name = …`.
    Assign {
        names: Vec<String>,
        is_new: bool,
        value: Pipeline,
    },
    /// `if` and `with`, which differ in what the dot is inside.
    Branch {
        is_with: bool,
        names: Vec<String>,
        condition: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Range {
        names: Vec<String>,
        over: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    /// `template "name" …`, and `block`, which defines it besides.
    Call {
        name: String,
        data: Pipeline,
    },
    Define {
        name: String,
        body: Vec<Node>,
    },
}

/// Commands, each of which gets the outcome of the one before.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipeline(pub(super) Vec<Vec<Operation>>);

/// An operand, and the fields that are taken of it.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) operand: Operand,
    pub(super) fields: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Dot,
    /// Without the dollar sign; that of `$` itself is empty.
    Variable(String),
    Text(String),
    /// A number, a character or a constant.
    Constant,
    Function(String),
    Group(Pipeline),
}

/// Reads a template.
pub(super) fn parse(text: &str) -> Option<Vec<Node>> {
    let mut pieces = pieces(text)?.into_iter();
    let (nodes, end) = body(&mut pieces, 0)?;
    matches!(end, End::OfText).then_some(nodes)
}

/// Text, or what stands between braces.
enum Piece<'t> {
    Text(&'t str),
    Action(&'t str),
}

/// What ended the inside of an action.
enum End<'t> {
    OfText,
    Closed,
    /// With what follows the word: nothing, `if …` or `with …`.
    Else(&'t str),
}

fn pieces(text: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let trimmed = after.strip_prefix('-').filter(|after| after.starts_with(char::is_whitespace));
        pieces.push(Piece::Text(if trimmed.is_some() { before.trim_end() } else { before }));
        let inside = trimmed.unwrap_or(after);
        let end = if inside.trim_start().starts_with("/*") {
            let comment = inside.find("*/")?;
            comment + inside.get(comment..)?.find("}}")?
        } else {
            end_of_action(inside)?
        };
        let action = inside.get(..end)?;
        rest = inside.get(end + 2..)?;
        let action = match action.strip_suffix('-').filter(|action| action.ends_with(char::is_whitespace)) {
            Some(action) => {
                rest = rest.trim_start();
                action
            }
            None => action,
        };
        if !action.trim_start().starts_with("/*") {
            pieces.push(Piece::Action(action.trim()));
        }
    }
    pieces.push(Piece::Text(rest));
    Some(pieces)
}

/// Where the braces are that close an action: not within quotes.
fn end_of_action(inside: &str) -> Option<usize> {
    let mut quote: Option<char> = None;
    let mut letters = inside.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (Some('"' | '\''), '\\') => drop(letters.next()),
            (Some(open), letter) if open == letter => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(letter),
            (None, '}') if inside.get(at..).is_some_and(|rest| rest.starts_with("}}")) => return Some(at),
            (Some(_) | None, _) => {}
        }
    }
    None
}

/// Everything up to the `end` or `else` of an action.
fn body<'t>(pieces: &mut impl Iterator<Item = Piece<'t>>, depth: usize) -> Option<(Vec<Node>, End<'t>)> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let action = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text.to_owned()));
                continue;
            }
            Piece::Action(action) => action,
        };
        let (word, rest) = action.split_once(char::is_whitespace).unwrap_or((action, ""));
        let (word, rest) = match word.find('(') {
            // `if(eq …)`.
            Some(open) => action.split_at(open),
            None => (word, rest.trim()),
        };
        match word {
            "end" => return Some((nodes, End::Closed)),
            "else" => return Some((nodes, End::Else(rest))),
            "if" | "with" => nodes.push(branch(word, rest, pieces, depth)?),
            "range" => {
                let (names, _, over) = declared(rest)?;
                let (body, otherwise) = alternatives(pieces, depth)?;
                nodes.push(Node::Range { names, over, body, otherwise });
            }
            "define" => {
                let (body, End::Closed) = body(pieces, depth + 1)? else { return None };
                nodes.push(Node::Define { name: Words::of(rest)?.name()?, body });
            }
            "block" | "template" => {
                let mut words = Words::of(rest)?;
                let name = words.name()?;
                let data = words.pipeline(0)?;
                if word == "block" {
                    let (body, End::Closed) = body(pieces, depth + 1)? else { return None };
                    nodes.push(Node::Define { name: name.clone(), body });
                }
                nodes.push(Node::Call { name, data });
            }
            "break" | "continue" => {}
            _ => {
                let (names, is_new, value) = declared(action)?;
                nodes.push(match names.is_empty() {
                    true => Node::Output(value),
                    false => Node::Assign { names, is_new, value },
                });
            }
        }
    }
    Some((nodes, End::OfText))
}

fn branch<'t>(word: &str, rest: &str, pieces: &mut impl Iterator<Item = Piece<'t>>, depth: usize) -> Option<Node> {
    let (names, _, condition) = declared(rest)?;
    let (then, otherwise) = alternatives(pieces, depth)?;
    Some(Node::Branch { is_with: word == "with", names, condition, then, otherwise })
}

fn alternatives<'t>(pieces: &mut impl Iterator<Item = Piece<'t>>, depth: usize) -> Option<(Vec<Node>, Vec<Node>)> {
    let (then, end) = body(pieces, depth + 1)?;
    let otherwise = match end {
        End::OfText => return None,
        End::Closed => Vec::new(),
        End::Else("") => {
            let (otherwise, End::Closed) = body(pieces, depth + 1)? else { return None };
            otherwise
        }
        // It is closed by the same `end`.
        End::Else(more) => {
            let word = if more.starts_with("with") { "with" } else { "if" };
            vec![branch(word, more.strip_prefix(word)?, pieces, depth + 1)?]
        }
    };
    Some((then, otherwise))
}

/// The variables that a pipeline is given to, whether they are new ones, and the pipeline.
fn declared(text: &str) -> Option<(Vec<String>, bool, Pipeline)> {
    let mut words = Words::of(text)?;
    let count = words.0.iter().position(|word| matches!(word, Word::Declares | Word::Assigns)).unwrap_or(0);
    let is_new = matches!(words.0.get(count), Some(Word::Declares));
    let mut names = Vec::new();
    for word in words.0.drain(..if count == 0 { 0 } else { count + 1 }) {
        if let Word::Variable(name) = word {
            names.push(name);
        }
    }
    // Words are taken from the end.
    words.0.reverse();
    let pipeline = words.read(0)?;
    words.0.is_empty().then_some((names, is_new, pipeline))
}

/// The words of an action.
struct Words(Vec<Word>);

#[derive(Debug)]
enum Word {
    Open,
    Close,
    Pipe,
    Declares,
    Assigns,
    Comma,
    /// `.a.b`, as its names; the dot itself has none.
    Fields(Vec<String>),
    /// Fields that belong to the word before.
    Inner(Vec<String>),
    Variable(String),
    Text(String),
    Constant,
    Name(String),
}

impl Words {
    fn of(text: &str) -> Option<Self> {
        let mut words = Vec::new();
        let mut rest = text;
        let mut is_joined = false;
        while let Some(first) = rest.chars().next() {
            if first.is_whitespace() {
                rest = rest.trim_start();
                is_joined = false;
                continue;
            }
            let (word, after) = Self::word(rest, first, is_joined)?;
            is_joined = matches!(word, Word::Close | Word::Variable(_));
            words.push(word);
            rest = after;
        }
        Some(Self(words))
    }

    fn word(rest: &str, first: char, is_joined: bool) -> Option<(Word, &str)> {
        let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
        let name_of = |text: &str| text.find(|letter| !is_letter(letter)).unwrap_or(text.len());
        let after = rest.get(first.len_utf8()..)?;
        Some(match first {
            '(' => (Word::Open, after),
            ')' => (Word::Close, after),
            '|' => (Word::Pipe, after),
            ',' => (Word::Comma, after),
            '=' => (Word::Assigns, after),
            ':' => (Word::Declares, after.strip_prefix('=')?),
            '"' | '\'' | '`' => {
                let mut text = String::new();
                let mut letters = after.char_indices();
                loop {
                    let (at, letter) = letters.next()?;
                    match letter {
                        '\\' if first != '`' => text.push(match letters.next()?.1 {
                            'n' => '\n',
                            't' => '\t',
                            escaped => escaped,
                        }),
                        letter if letter == first => {
                            let word = if first == '\'' { Word::Constant } else { Word::Text(text) };
                            break (word, after.get(at + 1..)?);
                        }
                        letter => text.push(letter),
                    }
                }
            }
            '$' => {
                let (name, after) = after.split_at(name_of(after));
                (Word::Variable(name.to_owned()), after)
            }
            '.' => {
                let mut names = Vec::new();
                let mut rest = rest;
                while let Some(after) = rest.strip_prefix('.') {
                    let (name, after) = after.split_at(name_of(after));
                    if name.is_empty() {
                        rest = after;
                        break;
                    }
                    names.push(name.to_owned());
                    rest = after;
                }
                (if is_joined { Word::Inner(names) } else { Word::Fields(names) }, rest)
            }
            first if first.is_ascii_digit() || matches!(first, '+' | '-') => {
                let end = after.find(|letter: char| !is_letter(letter) && letter != '.').unwrap_or(after.len());
                (Word::Constant, after.get(end..)?)
            }
            first if is_letter(first) => {
                let (name, after) = rest.split_at(name_of(rest));
                let is_constant = matches!(name, "true" | "false" | "nil");
                (if is_constant { Word::Constant } else { Word::Name(name.to_owned()) }, after)
            }
            _ => return None,
        })
    }

    /// The name with which `define` and its kin begin; what is left is a pipeline, the other way round.
    fn name(&mut self) -> Option<String> {
        self.0.reverse();
        match self.0.pop()? {
            Word::Text(name) => Some(name),
            _ => None,
        }
    }

    fn pipeline(mut self, depth: usize) -> Option<Pipeline> {
        let pipeline = self.read(depth)?;
        self.0.is_empty().then_some(pipeline)
    }

    /// Reads up to a parenthesis that closes, or to the end.
    fn read(&mut self, depth: usize) -> Option<Pipeline> {
        if depth > DEPTH_MAX {
            return None;
        }
        let mut commands = Vec::new();
        let mut command: Vec<Operation> = Vec::new();
        while let Some(word) = self.0.pop() {
            let (operand, fields) = match word {
                Word::Close => {
                    self.0.push(Word::Close);
                    break;
                }
                Word::Pipe => {
                    commands.push(std::mem::take(&mut command));
                    continue;
                }
                Word::Inner(names) => {
                    command.last_mut()?.fields.extend(names);
                    continue;
                }
                Word::Open => {
                    let inner = self.read(depth + 1)?;
                    let Some(Word::Close) = self.0.pop() else { return None };
                    (Operand::Group(inner), Vec::new())
                }
                Word::Fields(names) => (Operand::Dot, names),
                Word::Variable(name) => (Operand::Variable(name), Vec::new()),
                Word::Text(text) => (Operand::Text(text), Vec::new()),
                Word::Constant => (Operand::Constant, Vec::new()),
                Word::Name(name) => (Operand::Function(name), Vec::new()),
                Word::Declares | Word::Assigns | Word::Comma => return None,
            };
            command.push(Operation { operand, fields });
        }
        if !command.is_empty() {
            commands.push(command);
        }
        Some(Pipeline(commands))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_end_outside_of_quotes_and_comments() {
        let text =
            "a {{- /* }} */ -}} b {{ print \"}}\" `}}` }} c\n{{- if(eq .x \"\\\"\") -}} d {{ else if .y }}e{{ end }}";
        let nodes = parse(text).unwrap();
        let Some(Node::Branch { then, otherwise, .. }) = nodes.iter().find(|it| matches!(it, Node::Branch { .. }))
        else {
            panic!("{nodes:?}")
        };
        assert!(matches!(&then[..], [Node::Text(text)] if text == "d "), "{then:?}");
        assert!(matches!(&otherwise[..], [Node::Branch { .. }]), "{otherwise:?}");
        let texts: Vec<&str> =
            nodes.iter().filter_map(|it| if let Node::Text(text) = it { Some(&**text) } else { None }).collect();
        assert_eq!(texts, ["a", "b ", " c", ""]);
    }

    #[test]
    fn what_is_no_template_is_none() {
        for text in
            ["{{ if }}", "{{ end }}", "{{ \"a }}", "{{ ( }}", "{{ ) }}", "{{ a", "{{ range .x }}{{ else }}", "{{ ~ }}"]
        {
            assert!(parse(text).is_none(), "{text}");
        }
        assert!(parse(&"{{ if .a }}".repeat(1000)).is_none());
        assert!(parse(&format!("{{{{ {} }}}}", "(".repeat(1000))).is_none());
        for text in [
            "",
            "{{ . }}",
            "{{ $ }}",
            "{{ $x := (.a).b }}",
            "{{ range $i, $e := $.x }}{{ break }}{{ end }}",
            "{{ -1.5 }}",
        ] {
            assert!(parse(text).is_some(), "{text}");
        }
    }
}
