//! Runs the body `schema_validate` over what libFuzzer thinks of.
#![no_main]

#[path = "../bodies/schema_validate.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
