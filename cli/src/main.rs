//! The one binary of Kindsmith.
fn main() {}
