//! Runs the body `ownership` over what libFuzzer thinks of.
#![no_main]

#[path = "../bodies/ownership.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
