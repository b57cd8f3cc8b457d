//! Runs the body `jsonpath` over what libFuzzer thinks of.
#![no_main]

#[path = "../bodies/jsonpath.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
