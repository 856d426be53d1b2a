//! Text that must not be seen: passwords and account words.

use std::fmt;

/// What stands in a log, a recording or a diagram where a secret was.
pub const MASK: &str = "***";

/// A password (RFC 959 section 4.1.1, PASS) or account word (ACCT).
///
/// It has no `Display`, its `Debug` is [`MASK`], and its bytes are overwritten when it is dropped,
/// so that a freed page does not keep it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes of a secret as they were sent.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(bytes.into())
    }

    /// The secret itself. Give it to a comparison or to the wire, never to a message.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether the secret is `other`, in a time that does not depend on where they differ.
    pub fn matches(&self, other: &[u8]) -> bool {
        let mut difference = self.0.len() ^ other.len();
        for (i, a) in self.0.iter().enumerate() {
            let b = other.get(i).copied().unwrap_or(0);
            difference |= usize::from(a ^ b);
        }
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_whole_values() {
        let s = Secret::new("opensesame");
        assert!(s.matches(b"opensesame"));
        assert!(!s.matches(b"opensesam"));
        assert!(!s.matches(b"opensesame1"));
        assert!(!s.matches(b""));
        assert!(Secret::new("").matches(b""));
    }

    #[test]
    fn debug_is_masked() {
        assert_eq!(format!("{:?}", Secret::new("x")), "***");
    }
}
