//! port21
fn main() {}
