//! YAML as Kubernetes reads and writes it: YAML 1.1 by the rules of Go's sigs.k8s.io/yaml.
//!
//! Follows sigs.k8s.io/yaml v1.6.0 over go.yaml.in/yaml/v2 v2.4.4. The way of a text: `tree` (a document's nodes, of the
//! events of a parser), `scalar` (what a word is), `value` (aliases, merges and keys become JSON), and back: `write`.

mod scalar;
mod tree;
mod value;
mod write;

#[cfg(test)]
mod tests;

use serde_json::Value;

pub use write::write;

/// Why a text is no YAML that Kubernetes reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// The text is no YAML. The words are the parser's, the line is counted from 1.
    #[error("yaml: line {line}: {problem}")]
    Syntax {
        /// Where.
        line: usize,
        /// What.
        problem: String,
    },
    /// The document cannot be decoded: a tag does not fit, an alias has no anchor.
    #[error("yaml: {0}")]
    Undecodable(String),
    /// The document has no form in JSON: a key is no text, a number is not finite.
    #[error("{0}")]
    NoJson(String),
}

/// One document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The JSON that the document means. Of equal keys the last value counts.
    pub value: Value,
    /// What strict reading has against the document: `line 4: key "a" already set in map`, at most
    /// [`DUPLICATES_MAX`](crate::decode::DUPLICATES_MAX) of them.
    pub duplicates: Vec<String>,
}

/// Reads the first document of a text, as kube-apiserver reads a body. What follows the document is not looked at.
///
/// # Errors
/// When the first document is no YAML, or has no form in JSON.
pub fn read(text: &[u8]) -> Result<Document, YamlError> {
    let text = tree::text(text)?;
    let mut documents = tree::Documents::of(&text);
    documents
        .next()
        .map_or_else(|| Ok(Document { value: Value::Null, duplicates: Vec::new() }), |tree| value::of(&tree?))
}

/// Reads every document of a text, such as a file of manifests.
///
/// # Errors
/// When a document is no YAML, or has no form in JSON.
pub fn read_all(text: &[u8]) -> Result<Vec<Document>, YamlError> {
    let text = tree::text(text)?;
    tree::Documents::of(&text).map(|tree| value::of(&tree?)).collect()
}
