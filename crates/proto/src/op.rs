//! Operations: what a session's machine asks of its driver.

/// Names one operation of a session. Every operation has exactly one outcome, which is handed back under this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);
