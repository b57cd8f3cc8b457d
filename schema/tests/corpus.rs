//! The fuzz targets of this crate, over their corpora and mutations of them (see `fuzz/`).

#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../../fuzz/bodies/corpus.rs"]
mod corpus;

#[path = "../../fuzz/bodies/schema_compile.rs"]
mod schema_compile;

#[path = "../../fuzz/bodies/schema_validate.rs"]
mod schema_validate;

#[path = "../../fuzz/bodies/jsonpath.rs"]
mod jsonpath;

#[path = "../../fuzz/bodies/decode.rs"]
mod decode;

#[path = "../../fuzz/bodies/pattern.rs"]
mod pattern;

#[path = "../../fuzz/bodies/release.rs"]
mod release;

#[path = "../../fuzz/bodies/cel.rs"]
mod cel;

#[path = "../../fuzz/bodies/ownership.rs"]
mod ownership;

#[test]
fn schema_compile_holds() {
    corpus::replay("schema_compile", 200, schema_compile::run);
}

#[test]
fn schema_validate_holds() {
    corpus::replay("schema_validate", 3_000, schema_validate::run);
}

#[test]
fn jsonpath_holds() {
    corpus::replay("jsonpath", 20_000, jsonpath::run);
}

#[test]
fn decode_holds() {
    corpus::replay("decode", 20_000, decode::run);
}

#[test]
fn pattern_holds() {
    corpus::replay("pattern", 3_000, pattern::run);
}

#[test]
fn release_holds() {
    corpus::replay("release", 10_000, release::run);
}

#[test]
fn cel_holds() {
    corpus::replay("cel", 2_000, cel::run);
}

#[test]
fn ownership_holds() {
    corpus::replay("ownership", 3_000, ownership::run);
}
