//! From a document's nodes to JSON: aliases, merges, keys.
//!
//! Follows go.yaml.in/yaml/v2, decode.go (`decoder`), and sigs.k8s.io/yaml, yaml.go (`convertToJSONableObject`).

use kindsmith_text::print::{self, quoted};
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    Document, YamlError,
    scalar::{self, Scalar},
    tree::{Kind, Node, Tree},
};
use crate::{
    decode::{DUPLICATES_MAX, JSON_DEPTH_MAX},
    numbers,
};

/// Up to how many nodes almost all may come of aliases.
const ALIAS_RATIO_RANGE_LOW: u32 = 400_000;

/// From how many nodes on a tenth may come of aliases.
const ALIAS_RATIO_RANGE_HIGH: u32 = 4_000_000;

/// The JSON of a document.
pub(super) fn of(tree: &Tree) -> Result<Document, YamlError> {
    let mut decoder = Decoder { tree, aliases: Vec::new(), duplicates: Vec::new(), decoded: 0, aliased: 0 };
    let mut value = if tree.nodes.is_empty() { Value::Null } else { decoder.node(tree.root, 0)? };
    numbers::write_whole(&mut value);
    Ok(Document { value, duplicates: decoder.duplicates })
}

struct Decoder<'a> {
    tree: &'a Tree,
    /// The aliases that are being followed.
    aliases: Vec<usize>,
    duplicates: Vec<String>,
    decoded: u32,
    aliased: u32,
}

/// A key as Go holds it: `1` and `"1"` are two keys, though one in JSON.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Text(String),
    Integer(i64),
    /// The bits of a number that is not NaN, which is equal to nothing.
    Float(u64),
    Bool(bool),
}

/// A map that is being filled, also by merges.
#[derive(Default)]
struct Members {
    map: Map<String, Value>,
    keys: HashSet<Key>,
}

impl<'a> Decoder<'a> {
    fn at(&self, index: usize) -> Result<&'a Node, YamlError> {
        let gone = || YamlError::Undecodable("a node is missing".to_owned());
        self.tree.nodes.get(index).ok_or_else(gone)
    }

    /// Counts one more node, and refuses documents that are made of aliases (`unmarshal`).
    fn count(&mut self) -> Result<(), YamlError> {
        self.decoded += 1;
        if !self.aliases.is_empty() {
            self.aliased += 1;
        }
        let ratio = f64::from(self.aliased) / f64::from(self.decoded);
        if self.aliased > 100 && self.decoded > 1000 && ratio > allowed_alias_ratio(self.decoded) {
            return Err(YamlError::Undecodable("document contains excessive aliasing".to_owned()));
        }
        Ok(())
    }

    fn node(&mut self, index: usize, depth: usize) -> Result<Value, YamlError> {
        self.count()?;
        let node = self.at(index)?;
        let deeper = || {
            let too_deep = || YamlError::Undecodable("exceeded max depth".to_owned());
            Some(depth + 1).filter(|depth| *depth <= JSON_DEPTH_MAX).ok_or_else(too_deep)
        };
        match &node.kind {
            Kind::Scalar { .. } => json(&node.kind),
            Kind::Sequence(children) => {
                let depth = deeper()?;
                children.iter().map(|child| self.node(*child, depth)).collect::<Result<_, _>>().map(Value::Array)
            }
            Kind::Mapping(_) => {
                let mut members = Members::default();
                self.fill(node, &mut members, deeper()?)?;
                Ok(Value::Object(members.map))
            }
            Kind::Alias(target) => self.aliased(index, |decoder| decoder.node(*target, depth)),
        }
    }

    /// Does something with what an alias stands for.
    fn aliased<T>(
        &mut self,
        alias: usize,
        visit: impl FnOnce(&mut Self) -> Result<T, YamlError>,
    ) -> Result<T, YamlError> {
        if self.aliases.contains(&alias) {
            return Err(YamlError::Undecodable("anchor value contains itself".to_owned()));
        }
        self.aliases.push(alias);
        let visited = visit(self);
        self.aliases.pop();
        visited
    }

    /// Puts the members of a mapping into a map (`mapping`).
    fn fill(&mut self, node: &Node, members: &mut Members, depth: usize) -> Result<(), YamlError> {
        let Kind::Mapping(children) = &node.kind else { return Err(not_a_map()) };
        for pair in children.chunks_exact(2) {
            let &[key, value] = pair else { continue };
            if is_merge(self.at(key)?) {
                self.merge(value, members, depth)?;
                continue;
            }
            let (key, shown) = self.key(key)?;
            let line = self.at(value)?.line;
            let value = self.node(value, depth)?;
            let text = text_of(&key);
            let is_nan = matches!(key, Key::Float(bits) if f64::from_bits(bits).is_nan());
            // 0 and -0 are one key.
            let key = if matches!(key, Key::Float(bits) if f64::from_bits(bits) == 0.0) { Key::Float(0) } else { key };
            if !is_nan && !members.keys.insert(key) && self.duplicates.len() < DUPLICATES_MAX {
                self.duplicates.push(format!("line {line}: key {shown} already set in map"));
            }
            members.map.insert(text, value);
        }
        Ok(())
    }

    /// Puts what `<<` stands for into a map (`merge`).
    fn merge(&mut self, index: usize, members: &mut Members, depth: usize) -> Result<(), YamlError> {
        match &self.at(index)?.kind {
            Kind::Sequence(children) => {
                // Earlier ones take precedence.
                children.iter().rev().try_for_each(|child| self.merge_one(*child, members, depth))
            }
            _ => self.merge_one(index, members, depth),
        }
    }

    fn merge_one(&mut self, index: usize, members: &mut Members, depth: usize) -> Result<(), YamlError> {
        let node = self.at(index)?;
        self.count()?;
        match &node.kind {
            Kind::Mapping(_) => self.fill(node, members, depth),
            Kind::Alias(target) => {
                let target = self.at(*target)?;
                self.aliased(index, |decoder| {
                    decoder.count()?;
                    decoder.fill(target, members, depth)
                })
            }
            Kind::Scalar { .. } | Kind::Sequence(_) => Err(not_a_map()),
        }
    }

    /// A key, and how Go's `%#v` shows it.
    fn key(&mut self, index: usize) -> Result<(Key, String), YamlError> {
        self.count()?;
        let node = self.at(index)?;
        let refused = |what: &str| YamlError::NoJson(format!("unsupported map key of type: {what}"));
        match &node.kind {
            Kind::Alias(target) => self.aliased(index, |decoder| decoder.key(*target)),
            Kind::Sequence(_) | Kind::Mapping(_) => Err(YamlError::Undecodable("invalid map key".to_owned())),
            Kind::Scalar { .. } => Ok(match scalar_of(&node.kind)? {
                Scalar::Str(text) => {
                    let shown = quoted(&text);
                    (Key::Text(text), shown)
                }
                Scalar::Int(whole) => (Key::Integer(whole), whole.to_string()),
                Scalar::Float(float) => (Key::Float(float.to_bits()), print::float(float)),
                Scalar::Bool(is) => (Key::Bool(is), is.to_string()),
                Scalar::Null => return Err(refused("<nil>")),
                Scalar::Uint(_) => return Err(refused("uint64")),
                // `scalar_of` gives their text.
                Scalar::Timestamp => return Err(refused("text")),
            }),
        }
    }
}

fn allowed_alias_ratio(decoded: u32) -> f64 {
    match decoded {
        ..=ALIAS_RATIO_RANGE_LOW => 0.99,
        ALIAS_RATIO_RANGE_HIGH.. => 0.10,
        _ => {
            let range = f64::from(ALIAS_RATIO_RANGE_HIGH - ALIAS_RATIO_RANGE_LOW);
            0.99 - 0.89 * (f64::from(decoded - ALIAS_RATIO_RANGE_LOW) / range)
        }
    }
}

fn not_a_map() -> YamlError {
    YamlError::Undecodable("map merge requires map or sequence of maps as the value".to_owned())
}

fn is_merge(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar { text, tag, implicit } if text == "<<" && (*implicit || tag == scalar::MERGE))
}

/// What a scalar node is, as an `interface{}` in Go holds it.
fn scalar_of(kind: &Kind) -> Result<Scalar, YamlError> {
    let Kind::Scalar { text, tag, implicit } = kind else { return Ok(Scalar::Null) };
    let tag = if tag.is_empty() && !implicit { scalar::STR } else { tag };
    Ok(match scalar::resolve(tag, text)? {
        Scalar::Timestamp => Scalar::Str(text.clone()),
        other => other,
    })
}

fn json(kind: &Kind) -> Result<Value, YamlError> {
    Ok(match scalar_of(kind)? {
        Scalar::Null | Scalar::Timestamp => Value::Null,
        Scalar::Bool(is) => Value::Bool(is),
        Scalar::Int(whole) => Value::from(whole),
        // Kubernetes holds such integers as floats.
        Scalar::Uint(whole) => float(whole as f64)?,
        Scalar::Float(number) => float(number)?,
        Scalar::Str(text) => Value::String(text),
    })
}

fn float(number: f64) -> Result<Value, YamlError> {
    let shown = || match number {
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => "NaN",
    };
    let refused = || YamlError::NoJson(format!("json: unsupported value: {}", shown()));
    serde_json::Number::from_f64(number).map(Value::Number).ok_or_else(refused)
}

/// The key of JSON: numbers as Go writes them with 32 bits.
fn text_of(key: &Key) -> String {
    match key {
        Key::Text(text) => text.clone(),
        Key::Integer(whole) => whole.to_string(),
        Key::Bool(is) => is.to_string(),
        Key::Float(bits) => match f64::from_bits(*bits) as f32 {
            f32::INFINITY => ".inf".to_owned(),
            f32::NEG_INFINITY => "-.inf".to_owned(),
            float if float.is_nan() => ".nan".to_owned(),
            // The digits that tell a number of 32 bits, which tell one of 64 bits that has no more of them.
            float => print::float(float.to_string().parse().unwrap_or_default()),
        },
    }
}
