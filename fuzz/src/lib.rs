//! The doors by which bytes of strangers come in: those of the tests, which feed them with chance in every `cargo test`.

#[path = "../../crates/proto/tests/fuzzed/entries.rs"]
pub mod proto;
#[path = "../../crates/trace/tests/trace/entries.rs"]
pub mod trace;
