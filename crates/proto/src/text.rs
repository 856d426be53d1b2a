//! Bytes of a peer made safe to show.

use std::fmt;

/// Shows bytes that a peer chose: UTF-8 as it is, everything that could steer a terminal, end a line
/// or be mistaken for another text (controls, bidirectional overrides, invalid bytes) as `\xNN` or `\u{N}`.
///
/// ```
/// # use port21_proto::text::Shown;
/// assert_eq!(Shown(b"a\x1b[31m\xff").to_string(), "a\\x1b[31m\\xff");
/// ```
#[derive(Clone, Copy)]
pub struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\0'..='\x1f' | '\x7f' => write!(f, "\\x{:02x}", u32::from(c))?,
                    c if is_deceptive(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                    c => f.write_char(c)?,
                }
            }
            for b in chunk.invalid() {
                write!(f, "\\x{b:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Whether a character beyond ASCII shows a text as something that it is not: C1 controls, line and paragraph separators,
/// zero-width and bidirectional formatting.
pub fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_letters_of_every_script_and_escapes_the_rest() {
        assert_eq!(Shown("größe 日本".as_bytes()).to_string(), "größe 日本");
        assert_eq!(Shown(b"a\r\nb\0").to_string(), "a\\x0d\\x0ab\\x00");
        assert_eq!(Shown("x\u{202e}txt.exe".as_bytes()).to_string(), "x\\u{202e}txt.exe");
        assert_eq!(Shown(b"\xc3").to_string(), "\\xc3");
    }
}
