//! Text that must not be seen: passwords and account words.

use std::fmt;
use std::ops::Range;

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

/// Where in a command line a secret begins: behind PASS, ACCT, and the commands of SITE that set a password.
///
/// The line may be malformed, and must not tell then either: whatever stands behind these letters is taken for the
/// secret, and whatever but letters may stand before them. For whoever takes a bare CR or a NUL for the end of a line, a
/// command begins behind it.
pub(crate) fn begins(line: &[u8]) -> Option<usize> {
    let mut from = 0;
    for command in line.split(|b| matches!(b, b'\r' | b'\n' | 0)) {
        if let Some(at) = begins_in_command(command) {
            return Some(from + at);
        }
        from += command.len() + 1;
    }
    None
}

fn begins_in_command(command: &[u8]) -> Option<usize> {
    let verb = letters(command, 0);
    let name = command.get(verb.clone())?.to_ascii_uppercase();
    if name.starts_with(b"PASS") || name.starts_with(b"ACCT") {
        return Some(verb.start + 4);
    }
    // What is meant for a client, and has come here as it was typed.
    if matches!(name.as_slice(), b"QUOTE" | b"QUOT" | b"LITERAL") {
        let behind = command.get(verb.end..)?;
        let first = behind.get(letters(behind, 0))?.to_ascii_uppercase();
        let is_again = matches!(first.as_slice(), b"QUOTE" | b"QUOT" | b"LITERAL");
        return if is_again { Some(verb.end) } else { begins_in_command(behind).map(|at| verb.end + at) };
    }
    if name != b"SITE" {
        return None;
    }
    let word = letters(command, verb.end);
    let name = command.get(word.clone())?.to_ascii_uppercase();
    // PSWD, CPWD, PASSWD, GPASS and their like.
    let is_secret = |part: &[u8]| name.windows(part.len()).any(|window| window == part);
    (is_secret(b"PASS") || is_secret(b"PSWD") || is_secret(b"PWD")).then_some(word.end)
}

/// The first run of letters at `from` or behind it.
fn letters(bytes: &[u8], from: usize) -> Range<usize> {
    let find = |from: usize, letter: bool| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().position(|b| b.is_ascii_alphabetic() == letter).unwrap_or(rest.len())
    };
    let start = find(from, true);
    start..find(start, false)
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
