//! Follows a chart's values through its templates, as far as that can be seen without values: both ways of each
//! condition are gone, and each loop is gone through once.

use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use super::{
    ANY, Printed, ValuePath,
    document::{Document, Position},
    syntax::{Node, Operand, Operation, Pipeline},
    term::Term,
};

/// How deep templates include others.
const INCLUDES_MAX: usize = 24;

/// How much is followed of all templates of a chart, in nodes and in what is known of each value. The largest charts
/// take a twentieth.
const STEPS_MAX: usize = 4_000_000;

/// Functions of which nothing of a value comes out as YAML.
const SCALARS: [&str; 38] = [
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "not",
    "len",
    "hasKey",
    "has",
    "contains",
    "empty",
    "kindIs",
    "typeIs",
    "typeIsLike",
    "kindOf",
    "typeOf",
    "int",
    "int64",
    "float64",
    "add",
    "sub",
    "mul",
    "div",
    "b64enc",
    "sha256sum",
    "fail",
    "lookup",
    "keys",
    "hasPrefix",
    "hasSuffix",
    "semverCompare",
    "set",
    "unset",
    "randAlphaNum",
    "printf",
    "regexMatch",
    "uuidv4",
];

/// The templates of a chart and its subcharts, by name.
pub(super) type Defines = HashMap<String, Rc<Vec<Node>>>;

/// What stands for the dot, `$` and the variables.
struct Frame {
    dot: Term,
    root: Term,
    variables: Vec<(String, Term)>,
}

/// One that follows.
pub(super) struct Follower<'a> {
    defines: &'a Defines,
    steps_left: usize,
    includes: usize,
    printed: Printed,
    /// Whether something was too much.
    is_cut: bool,
}

impl<'a> Follower<'a> {
    pub(super) fn new(defines: &'a Defines) -> Self {
        Self { defines, steps_left: STEPS_MAX, includes: 0, printed: Printed::default(), is_cut: false }
    }

    /// A file, in the context of a chart whose values are at a path.
    pub(super) fn file(&mut self, nodes: &[Node], values: &ValuePath) {
        self.run(nodes, &Term::context(values.clone()), &mut Document::default());
    }

    /// What was found.
    pub(super) fn found(self) -> Printed {
        Printed { is_cut: self.is_cut, ..self.printed }
    }

    fn run(&mut self, nodes: &[Node], data: &Term, document: &mut Document) {
        let mut frame = Frame { dot: data.clone(), root: data.clone(), variables: Vec::new() };
        self.nodes(nodes, &mut frame, document);
    }

    /// Whether there is more to be done than is allowed.
    fn is_spent(&mut self, steps: usize) -> bool {
        self.steps_left = self.steps_left.saturating_sub(1 + steps);
        self.is_cut |= self.steps_left == 0;
        self.is_cut
    }

    fn nodes(&mut self, nodes: &[Node], frame: &mut Frame, document: &mut Document) {
        let scope = frame.variables.len();
        for node in nodes {
            if self.is_spent(frame.dot.size()) {
                break;
            }
            self.node(node, frame, document);
        }
        frame.variables.truncate(scope);
    }

    fn node(&mut self, node: &Node, frame: &mut Frame, document: &mut Document) {
        match node {
            Node::Text(text) => document.text(text),
            Node::Output(pipeline) => {
                let term = self.pipeline(pipeline, frame);
                self.print(&term, document);
            }
            Node::Assign { names, is_new, value } => {
                let value = self.pipeline(value, frame);
                for name in names {
                    let held = frame.variables.iter_mut().rev().find(|(held, _)| held == name).filter(|_| !is_new);
                    match held {
                        // Perhaps only on one of two ways.
                        Some((_, held)) => *held = held.clone().or(&value),
                        None => frame.variables.push((name.clone(), value.clone())),
                    }
                }
            }
            Node::Branch { is_with, names, condition, then, otherwise } => {
                let value = self.pipeline(condition, frame);
                let scope = frame.variables.len();
                frame.variables.extend(names.iter().map(|name| (name.clone(), value.clone())));
                let mut other = document.clone();
                self.nodes(otherwise, frame, &mut other);
                let dot = frame.dot.clone();
                if *is_with {
                    frame.dot = value;
                }
                self.nodes(then, frame, document);
                frame.dot = dot;
                frame.variables.truncate(scope);
                *document = std::mem::take(document).or(other);
            }
            Node::Range { names, over, body, otherwise } => {
                let over = self.pipeline(over, frame);
                let item = over.field(ANY);
                let scope = frame.variables.len();
                // With two names the first is the key.
                frame.variables.extend(names.iter().enumerate().map(|(at, name)| {
                    (name.clone(), if at + 1 == names.len() { item.clone() } else { Term::default() })
                }));
                let dot = std::mem::replace(&mut frame.dot, item);
                self.nodes(body, frame, document);
                frame.dot = dot;
                frame.variables.truncate(scope);
                self.nodes(otherwise, frame, &mut document.clone());
            }
            Node::Call { name, data } => {
                let data = self.pipeline(data, frame);
                self.call(name, &data, document);
            }
            Node::Define { .. } => {}
        }
    }

    /// Another template, whose output is a part of this one's.
    fn call(&mut self, name: &str, data: &Term, document: &mut Document) {
        let Some(body) = self.defines.get(name).map(Rc::clone) else { return };
        if self.includes < INCLUDES_MAX {
            self.includes += 1;
            self.run(&body, data, document);
            self.includes -= 1;
        }
    }

    /// What another template gives, as a value: the documents in it.
    fn include(&mut self, name: &str, data: &Term) -> Term {
        if !self.defines.contains_key(name) {
            // As of Bitnami's library: the text of a value in which templates are run. It may not be there yet.
            return data.field("value");
        }
        let outside = std::mem::take(&mut self.printed);
        let mut document = Document::default();
        self.call(name, data, &mut document);
        let inside = std::mem::replace(&mut self.printed, outside);
        self.printed.within.extend(inside.within);
        let mut printed = Term::values(inside.whole);
        printed.has_text = !document.is_at_start();
        printed
    }

    fn print(&mut self, term: &Term, document: &mut Document) {
        let paths = || term.values.iter().map(|path| without_any(path)).filter(|path| !path.is_empty());
        match document.position() {
            Position::Comment => {}
            Position::Whole if !term.names_its_kind() => {
                self.printed.whole.extend(paths());
                if term.has_text {
                    document.print();
                } else {
                    document.print_whole();
                }
                return;
            }
            position @ (Position::Kind | Position::ApiVersion) => {
                let member = if position == Position::Kind { "kind" } else { "apiVersion" };
                // An item of a list of objects of any kind.
                let items = term.values.iter().filter_map(|path| match &path[..] {
                    [list @ .., any, last] if any == ANY && last == member => Some(list.to_vec()),
                    _ => None,
                });
                let items: BTreeSet<ValuePath> = items.map(|path| without_any(&path)).collect();
                self.printed.whole.extend(document.typed(position, items));
            }
            Position::Whole | Position::Part => self.printed.within.extend(paths()),
        }
        document.print();
    }

    fn pipeline(&mut self, pipeline: &Pipeline, frame: &Frame) -> Term {
        let mut before: Option<Term> = None;
        for command in &pipeline.0 {
            before = Some(self.command(command, before, frame));
        }
        before.unwrap_or_default()
    }

    fn command(&mut self, command: &[Operation], before: Option<Term>, frame: &Frame) -> Term {
        let Some((first, rest)) = command.split_first() else { return Term::default() };
        let Operand::Function(name) = &first.operand else { return self.operation(first, frame) };
        let mut arguments: Vec<Term> = rest.iter().map(|argument| self.operation(argument, frame)).collect();
        arguments.extend(before);
        let size = arguments.iter().map(Term::size).sum();
        if self.is_spent(size) {
            return Term::default();
        }
        self.function(name, &arguments)
    }

    fn operation(&mut self, operation: &Operation, frame: &Frame) -> Term {
        let term = match &operation.operand {
            Operand::Dot => frame.dot.clone(),
            Operand::Variable(name) if name.is_empty() => frame.root.clone(),
            Operand::Variable(name) => {
                let held = frame.variables.iter().rev().find(|(held, _)| held == name);
                held.map(|(_, term)| term.clone()).unwrap_or_default()
            }
            Operand::Text(text) => Term::text(text),
            Operand::Constant => Term::default(),
            Operand::Function(name) => self.function(name, &[]),
            Operand::Group(inner) => self.pipeline(inner, frame),
        };
        operation.fields.iter().fold(term, |term, name| term.field(name))
    }

    fn function(&mut self, name: &str, arguments: &[Term]) -> Term {
        let literal = |at: usize| arguments.get(at).and_then(|term| term.literal.as_deref());
        match (name, arguments) {
            ("include", [_, data, ..]) => literal(0).map(|name| self.include(name, data)).unwrap_or_default(),
            ("tpl", [text, ..]) => text.clone(),
            ("dict", _) => Term::dictionary(
                arguments.chunks_exact(2).filter_map(|pair| Some((pair[0].literal.clone()?, pair[1].clone()))),
            ),
            ("list" | "tuple", _) => {
                Term::dictionary(arguments.iter().enumerate().map(|(at, item)| (at.to_string(), item.clone())))
            }
            ("index" | "get", [of, keys @ ..]) => {
                keys.iter().fold(of.clone(), |of, key| of.field(key.literal.as_deref().unwrap_or(ANY)))
            }
            ("first" | "last" | "mustFirst" | "mustLast" | "values", [of]) => of.field(ANY),
            ("dig", [names @ .., default, of]) => {
                names.iter().fold(of.clone(), |of, name| of.field(name.literal.as_deref().unwrap_or(ANY))).or(default)
            }
            ("ternary", [one, other, ..]) => one.clone().or(other),
            ("printf", [_, values @ ..]) if literal(0).is_some_and(is_all_of_a_value) => any_of(values),
            (name, _) if SCALARS.contains(&name) => Term::default(),
            _ => any_of(arguments),
        }
    }
}

/// Any of them, or what is made of them.
fn any_of(terms: &[Term]) -> Term {
    let mut any = terms.iter().fold(Term::default(), |any, term| any.or(term));
    any.literal = None;
    any
}

/// Whether a format adds nothing to what it prints, but where documents begin.
fn is_all_of_a_value(format: &str) -> bool {
    format.replace("%s", "").replace("%v", "").replace("---", "").trim().is_empty()
}

/// The value of which a path names the items.
fn without_any(path: &[String]) -> ValuePath {
    let end = path.iter().rposition(|name| name != ANY).map_or(0, |last| last + 1);
    path.get(..end).unwrap_or_default().to_vec()
}
