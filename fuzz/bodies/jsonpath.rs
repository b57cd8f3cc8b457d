//! A path and an object: parsing, evaluating and printing a cell end, with a result or a reason.

use jiff::Timestamp;
use kindsmith_schema::column::{Column, Details};
use kindsmith_schema::jsonpath::{JsonPath, MissingKeys};
use serde_json::Value;

/// The first line of `data` is a path, the second one an object.
pub(crate) fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Some(Ok(text)) = lines.next().map(std::str::from_utf8) else { return };
    let object: Value = lines.next().and_then(|line| serde_json::from_slice(line).ok()).unwrap_or_default();
    for kind in ["string", "integer", "number", "boolean", "date"] {
        if let Ok(column) = Column::compile("C", kind, Details::default(), text) {
            column.cell(&object, Timestamp::UNIX_EPOCH);
        }
    }
    let Ok(path) = JsonPath::parse(text) else { return };
    assert_eq!(path.source(), text);
    let found = path.evaluate(&object, MissingKeys::Empty);
    assert_eq!(found, path.evaluate(&object, MissingKeys::Empty));
    assert_eq!(path.find(&object), found.unwrap_or_default());
    let _ = path.evaluate(&object, MissingKeys::Error);
}
