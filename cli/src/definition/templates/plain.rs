//! What is plain in a template: text, names that come from the release, and values that instances have. It becomes a text with
//! expressions in CEL, as `notes` and `access` of a definition have them.

use serde_json::Value;

use super::syntax::{self, Node, Operand, Operation, Pipeline};
use crate::definition::{chart::Chart, names};

/// How deep expressions of a template are followed.
const DEPTH_MAX: usize = 16;

/// Stand around the number of a value in the text of a document, where no chart has them.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// Functions that leave a name as it is, but for what is too long.
const SAME: [&str; 7] = ["quote", "squote", "trunc", "trimSuffix", "trimPrefix", "toString", "int"];

/// Functions whose outcome is part of a document and not of a text.
const BLOCKS: [&str; 4] = ["nindent", "indent", "toYaml", "tpl"];

/// Reads what is plain in the templates of a chart.
pub(in crate::definition) struct Plain<'c> {
    chart: &'c Chart,
    /// The schema of the values of an instance.
    spec: &'c Value,
    /// The release of an instance.
    release: String,
}

/// A document that a template makes, as far as it is plain.
pub(in crate::definition) struct PlainDocument {
    /// With marks for what is no text.
    pub(in crate::definition) object: Value,
    values: Vec<Option<String>>,
    /// A condition in CEL under which it is made.
    pub(in crate::definition) when: Option<String>,
}

impl PlainDocument {
    /// A text of the document with its expressions; none if it is not plain or empty.
    pub(in crate::definition) fn text(&self, value: &Value) -> Option<String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let mut plain = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once(OPEN) {
            let (number, after) = after.split_once(CLOSE)?;
            plain.push_str(&escaped(before));
            plain.push_str(self.values.get(number.parse::<usize>().ok()?)?.as_ref()?);
            rest = after;
        }
        plain.push_str(&escaped(rest));
        (!plain.is_empty()).then_some(plain)
    }
}

/// Text in which nothing begins an expression.
fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

impl<'c> Plain<'c> {
    pub(in crate::definition) fn new(chart: &'c Chart, spec: &'c Value) -> Self {
        let release = format!("{}${{self.metadata.name}}", names::prefix(&chart.name));
        Self { chart, spec, release }
    }

    /// A template whose output is plain as a whole.
    pub(in crate::definition) fn whole(&self, template: &str) -> Option<String> {
        let mut variables = Vec::new();
        let mut text = String::new();
        for node in syntax::parse(template)? {
            match node {
                Node::Text(plain) => text.push_str(&escaped(&plain)),
                Node::Output(pipeline) => text.push_str(&self.pipeline(&pipeline, &variables, 0)?),
                Node::Assign { names, value, .. } => {
                    let value = self.pipeline(&value, &variables, 0)?;
                    variables.extend(names.into_iter().map(|name| (name, value.clone())));
                }
                Node::Define { .. } => {}
                Node::Branch { .. } | Node::Range { .. } | Node::Call { .. } => return None,
            }
        }
        Some(text)
    }

    /// The documents of a template that are made always, or under a condition that is plain.
    pub(in crate::definition) fn documents(&self, template: &str) -> Vec<PlainDocument> {
        let Some(nodes) = syntax::parse(template) else { return Vec::new() };
        self.guarded(&nodes, None, 0)
    }

    fn guarded(&self, nodes: &[Node], when: Option<String>, depth: usize) -> Vec<PlainDocument> {
        if depth > DEPTH_MAX {
            return Vec::new();
        }
        let is_blank = |node: &&Node| matches!(node, Node::Text(text) if text.trim().is_empty());
        let nodes: Vec<&Node> = nodes.iter().filter(|node| !is_blank(node)).collect();
        if let [Node::Branch { is_with: false, condition, then, otherwise, .. }] = &nodes[..] {
            let Some(condition) = self.condition(condition, depth).filter(|_| otherwise.is_empty()) else {
                return Vec::new();
            };
            let when = match when {
                Some(outer) => format!("{outer} && {condition}"),
                None => condition,
            };
            return self.guarded(then, Some(when), depth + 1);
        }
        self.flat(&nodes, when.as_ref())
    }

    /// Documents out of text, with a mark for each value; what is made under conditions within is left out.
    fn flat(&self, nodes: &[&Node], when: Option<&String>) -> Vec<PlainDocument> {
        let mut variables = Vec::new();
        let mut values: Vec<Option<String>> = Vec::new();
        let mut text = String::new();
        for node in nodes {
            match node {
                Node::Text(plain) => text.push_str(plain),
                Node::Output(pipeline) if is_block(pipeline) => {}
                Node::Output(pipeline) => {
                    text.push_str(&format!("{OPEN}{}{CLOSE}", values.len()));
                    values.push(self.pipeline(pipeline, &variables, 0));
                }
                Node::Assign { names, value, .. } => {
                    if let Some(value) = self.pipeline(value, &variables, 0) {
                        variables.extend(names.iter().map(|name| (name.clone(), value.clone())));
                    }
                }
                Node::Branch { .. } | Node::Range { .. } | Node::Call { .. } | Node::Define { .. } => {}
            }
        }
        let document = |text: String| {
            let object = crate::definition::chart::yaml(&text).ok().filter(Value::is_object)?;
            Some(PlainDocument { object, values: values.clone(), when: when.cloned() })
        };
        split(&text).into_iter().filter_map(document).collect()
    }

    /// A condition in CEL.
    fn condition(&self, pipeline: &Pipeline, depth: usize) -> Option<String> {
        let [command] = &pipeline.0[..] else { return None };
        let (first, arguments) = command.split_first()?;
        let inner = |operation: &Operation| match &operation.operand {
            Operand::Group(inner) if depth < DEPTH_MAX => self.condition(inner, depth + 1),
            _ => self.flag(operation),
        };
        match (&first.operand, arguments) {
            (Operand::Function(name), all) if matches!(&**name, "and" | "or") && all.len() > 1 => {
                let all: Option<Vec<String>> = all.iter().map(inner).collect();
                Some(format!("({})", all?.join(if name == "and" { " && " } else { " || " })))
            }
            (Operand::Function(name), [one]) if name == "not" => Some(format!("!{}", inner(one)?)),
            (_, []) => inner(first),
            _ => None,
        }
    }

    /// A value that is true or false.
    fn flag(&self, operation: &Operation) -> Option<String> {
        match path(operation)? {
            [of, path @ ..] if of == "Values" => self.value(path, &["boolean"]),
            _ => None,
        }
    }

    fn pipeline(&self, pipeline: &Pipeline, variables: &[(String, String)], depth: usize) -> Option<String> {
        if depth > DEPTH_MAX {
            return None;
        }
        let mut before: Option<String> = None;
        for command in &pipeline.0 {
            before = Some(self.command(command, before, variables, depth)?);
        }
        before
    }

    fn command(
        &self,
        command: &[Operation],
        before: Option<String>,
        variables: &[(String, String)],
        depth: usize,
    ) -> Option<String> {
        let (first, arguments) = command.split_first()?;
        let Operand::Function(name) = &first.operand else {
            return self.operation(first, variables, depth).filter(|_| before.is_none() && arguments.is_empty());
        };
        match &**name {
            "include" => match arguments {
                [Operation { operand: Operand::Text(name), .. }, data] if is_root(data) => self.named(name),
                _ => None,
            },
            "printf" => {
                let (Operation { operand: Operand::Text(format), .. }, arguments) = arguments.split_first()? else {
                    return None;
                };
                let mut values = Vec::new();
                for argument in arguments {
                    values.push(self.operation(argument, variables, depth)?);
                }
                values.extend(before);
                printed(format, &values)
            }
            same if SAME.contains(&same) => match before {
                Some(before) => Some(before),
                None => self.operation(arguments.last()?, variables, depth),
            },
            _ => None,
        }
    }

    fn operation(&self, operation: &Operation, variables: &[(String, String)], depth: usize) -> Option<String> {
        match (&operation.operand, path(operation)) {
            (Operand::Text(text), _) => Some(escaped(text)),
            (Operand::Group(inner), _) if operation.fields.is_empty() => self.pipeline(inner, variables, depth + 1),
            (Operand::Variable(name), _) if !name.is_empty() && operation.fields.is_empty() => {
                variables.iter().rev().find(|(held, _)| held == name).map(|(_, value)| value.clone())
            }
            (_, Some([of, field])) if of == "Release" && field == "Name" => Some(self.release.clone()),
            (_, Some([of, field])) if of == "Release" && field == "Namespace" => {
                Some("${self.metadata.namespace}".to_owned())
            }
            (_, Some([of, field])) if of == "Chart" && field == "Name" => Some(escaped(&self.chart.name)),
            (_, Some([of, path @ ..])) if of == "Values" => {
                let value = self.value(path, &["string", "integer", "number", "boolean"])?;
                Some(format!("${{{value}}}"))
            }
            _ => None,
        }
    }

    /// The field of an instance that has a value, if it is of one of the types.
    fn value(&self, path: &[String], types: &[&str]) -> Option<String> {
        let mut schema = self.spec;
        for name in path {
            let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
                && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
                && !name.contains("__");
            schema = schema.get("properties")?.get(name).filter(|_| is_name)?;
        }
        let kind = schema.get("type").and_then(Value::as_str)?;
        let fits = !path.is_empty() && types.contains(&kind) && schema.get("format").is_none();
        fits.then(|| format!("self.spec.{}", path.join(".")))
    }

    /// What a named template gives: the name that `helm create` and Bitnami's library make for objects. It is the release's where
    /// that has the name of the chart in it, and ours have.
    fn named(&self, name: &str) -> Option<String> {
        let chart = &self.chart.name;
        let is_full_name = name == "common.names.fullname"
            || (name.strip_suffix(".fullname").is_some_and(|of| of == chart) && self.has_usual_full_name(name));
        (is_full_name && self.release.contains(chart.as_str())).then(|| self.release.clone())
    }

    fn has_usual_full_name(&self, name: &str) -> bool {
        let begins = format!("define \"{name}\"");
        self.chart.templates.iter().any(|(_, text)| {
            let body = text.split_once(&begins).map(|(_, body)| body);
            let body = body.map(|body| body.split_once("{{- define").map_or(body, |(body, _)| body));
            body.is_some_and(|body| {
                body.contains("common.names.fullname")
                    || (body.contains("contains $name .Release.Name") && body.contains("fullnameOverride"))
            })
        })
    }
}

/// The names that an operation takes of what it is all about.
fn path(operation: &Operation) -> Option<&[String]> {
    match &operation.operand {
        Operand::Dot => Some(&operation.fields),
        Operand::Variable(name) if name.is_empty() => Some(&operation.fields),
        _ => None,
    }
}

/// Whether an operation is the whole that a template is given.
fn is_root(operation: &Operation) -> bool {
    path(operation).is_some_and(<[String]>::is_empty)
}

/// Whether the outcome is a part of the document.
fn is_block(pipeline: &Pipeline) -> bool {
    let mut functions = pipeline.0.iter().filter_map(|command| match &command.first()?.operand {
        Operand::Function(name) => Some(name.as_str()),
        _ => None,
    });
    functions.any(|name| BLOCKS.contains(&name))
}

/// What `printf` makes of texts.
fn printed(format: &str, values: &[String]) -> Option<String> {
    let mut values = values.iter();
    let mut text = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(&escaped(before));
        text.push_str(values.next()?);
        rest = after.strip_prefix(['s', 'd', 'v'])?;
    }
    text.push_str(&escaped(rest));
    values.next().is_none().then_some(text)
}

/// The documents of a text.
fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        match documents.last_mut() {
            Some(document) if !line.starts_with("---") => {
                document.push_str(line);
                document.push('\n');
            }
            _ => documents.push(String::new()),
        }
    }
    documents
}
