//! Runs the body `schema_compile` over what libFuzzer thinks of.
#![no_main]

#[path = "../bodies/schema_compile.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
