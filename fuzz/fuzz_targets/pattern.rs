//! Runs the body `pattern` over what libFuzzer thinks of.
#![no_main]

#[path = "../bodies/pattern.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
