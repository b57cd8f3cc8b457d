//! The fuzz targets of the request's parser, over their corpora and mutations of them (see `fuzz/`).

#![allow(clippy::unwrap_used, reason = "a test")]

use kindsmith_apiserver::request;

#[cfg(test)]
#[path = "../../fuzz/bodies/corpus.rs"]
mod corpus;

#[path = "../../fuzz/bodies/request.rs"]
mod request_body;

#[path = "../../fuzz/bodies/selectors.rs"]
mod selectors;

#[test]
fn request_holds() {
    corpus::replay("request", 20_000, request_body::run);
}

#[test]
fn selectors_holds() {
    corpus::replay("selectors", 20_000, selectors::run);
}
