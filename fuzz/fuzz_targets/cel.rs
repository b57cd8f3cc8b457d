//! Runs the body `cel` over what libFuzzer thinks of.
#![no_main]

#[path = "../bodies/cel.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
