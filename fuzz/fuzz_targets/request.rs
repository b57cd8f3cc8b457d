//! Runs the body `request` over what libFuzzer thinks of.
#![no_main]

// The parser alone: the server around it takes minutes to build and adds nothing here.
#[allow(dead_code, unused_imports, reason = "a part of another crate")]
#[path = "../../apiserver/src/request/mod.rs"]
mod request;

#[path = "../bodies/request.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
