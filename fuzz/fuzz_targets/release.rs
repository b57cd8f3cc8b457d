//! Runs the body `release` over what libFuzzer thinks of.
#![no_main]

#[path = "../bodies/release.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
