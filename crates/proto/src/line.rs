//! From the bytes of a control connection to its lines.

use std::{fmt, mem};

/// The default cap on a command line, in bytes without its end: room for [`MAX_PATH`](crate::path::MAX_PATH) and a verb.
pub const MAX_COMMAND_LINE: usize = 4096 + 64;

/// The default cap on a line of a reply.
pub const MAX_REPLY_LINE: usize = 16 * 1024;

/// At most this many bytes of refused Telnet options are kept until they are sent.
const MAX_ANSWERS: usize = 48;

const IAC: u8 = 0xff;
const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;

/// A line that [`LineDecoder::feed`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its end.
    Whole(&'a [u8]),
    /// A line longer than the cap: its head, up to the cap. All of the rest is thrown away, so that no part of it is
    /// ever run as a command.
    Overlong(&'a [u8]),
}

/// Takes the lines out of a control connection's bytes (RFC 959 section 5.3 on Telnet, RFC 854).
///
/// A line ends with CR LF; a bare LF is taken as well. CR NUL is a CR. Telnet commands (IAC IP, IAC DM, options, sub-
/// negotiations) vanish wherever they stand, between CR and LF too; each option is refused (see
/// [`LineDecoder::take_answers`]), and IAC IAC is the byte 0xFF. An 0xFF before a byte that is no Telnet command is kept:
/// some clients send names in other charsets unescaped.
///
/// The same bytes give the same lines however they are cut into segments. Memory is bounded by the cap.
pub struct LineDecoder {
    line: Vec<u8>,
    limit: usize,
    state: State,
    /// A CR came, and what it is depends on the next byte that is no part of a Telnet command.
    cr: bool,
    overlong: bool,
    /// The line in `line` was given out: the next call starts a new one.
    given: bool,
    answers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    Iac,
    Option(u8),
    Sub,
    SubIac,
}

impl fmt::Debug for LineDecoder {
    /// Without the line, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineDecoder")
            .field("bytes", &self.line.len())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl LineDecoder {
    /// A decoder whose lines have at most `limit` bytes.
    pub fn new(limit: usize) -> LineDecoder {
        LineDecoder {
            line: Vec::new(),
            limit,
            state: State::Text,
            cr: false,
            overlong: false,
            given: false,
            answers: Vec::new(),
        }
    }

    /// Reads `input` up to the end of the first line: how many bytes were read, and the line. Without a line all of
    /// `input` has been read and is kept in part or whole.
    pub fn feed(&mut self, input: &[u8]) -> (usize, Option<Line<'_>>) {
        if mem::take(&mut self.given) {
            self.line.clear();
            self.overlong = false;
        }
        let mut read = 0;
        while let Some(&byte) = input.get(read) {
            if self.state == State::Text && !self.cr {
                let rest = input.get(read..).unwrap_or_default();
                let plain = rest.iter().position(|b| matches!(b, b'\n' | b'\r' | &IAC)).unwrap_or(rest.len());
                self.push(rest.get(..plain).unwrap_or_default());
                read += plain;
                match input.get(read) {
                    None => break,
                    Some(b'\n') => return (read + 1, Some(self.give())),
                    Some(b'\r') => self.cr = true,
                    Some(_) => self.state = State::Iac,
                }
                read += 1;
                continue;
            }
            // Some states end without taking the byte: it is then read again as text.
            if self.special(byte) {
                read += 1;
                if self.state == State::Text && byte == b'\n' {
                    return (read, Some(self.give()));
                }
            }
        }
        (read, None)
    }

    /// Whether a line has been begun and not ended: bytes that an end of the connection would cut off.
    pub fn has_partial(&self) -> bool {
        !self.given && (!self.line.is_empty() || self.overlong)
    }

    /// How many bytes are kept.
    pub(crate) fn size(&self) -> usize {
        self.line.len() + self.answers.len()
    }

    /// The Telnet bytes that refuse the options which the peer proposed, to be sent as they are (RFC 1123 section
    /// 4.1.2.12). Usually empty.
    pub fn take_answers(&mut self) -> Vec<u8> {
        mem::take(&mut self.answers)
    }

    /// Handles a byte behind a CR or in any state but `Text`: whether it was taken.
    fn special(&mut self, byte: u8) -> bool {
        match (self.state, byte) {
            // Behind a CR; in other states that waits (RFC 854: commands may stand anywhere in the stream).
            (State::Text, b'\n') => {}
            (State::Text, 0) => self.push_cr(),
            (State::Text, IAC) => self.state = State::Iac,
            (State::Text, _) => {
                self.push_cr();
                return false;
            }
            (State::Iac, IAC) => {
                self.push_cr();
                self.push(&[IAC]);
                self.state = State::Text;
            }
            (State::Iac, WILL..=DONT) => self.state = State::Option(byte),
            (State::Iac, SB) => self.state = State::Sub,
            (State::Iac, SE..=249) => self.state = State::Text,
            (State::Iac, _) => {
                self.push_cr();
                self.push(&[IAC]);
                self.state = State::Text;
                return false;
            }
            (State::Option(verb), option) => {
                self.refuse(verb, option);
                self.state = State::Text;
            }
            // A line's end closes a sub-negotiation that nobody ended, else it would eat every later command.
            (State::Sub | State::SubIac, b'\n') => self.state = State::Text,
            (State::Sub, IAC) => self.state = State::SubIac,
            (State::Sub, _) => {}
            (State::SubIac, SE) => self.state = State::Text,
            (State::SubIac, _) => self.state = State::Sub,
        }
        true
    }

    fn refuse(&mut self, verb: u8, option: u8) {
        let answer = match verb {
            DO => WONT,
            WILL => DONT,
            _ => return,
        };
        if self.answers.len() < MAX_ANSWERS {
            self.answers.extend([IAC, answer, option]);
        }
    }

    /// The CR that was kept, if there is one, is a byte of the line.
    fn push_cr(&mut self) {
        if mem::take(&mut self.cr) {
            self.push(b"\r");
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.line.len());
        match bytes.get(..room) {
            Some(head) if head.len() < bytes.len() => {
                self.line.extend_from_slice(head);
                self.overlong = true;
            }
            _ => self.line.extend_from_slice(bytes),
        }
    }

    fn give(&mut self) -> Line<'_> {
        self.given = true;
        self.cr = false;
        if self.overlong { Line::Overlong(&self.line) } else { Line::Whole(&self.line) }
    }
}

/// Appends a line for the control connection: `bytes` with 0xFF doubled (RFC 854) and CR, LF and NUL shown as `?`, so
/// that no text can end the line, and CR LF.
pub fn write_line(out: &mut Vec<u8>, bytes: &[u8]) {
    write_text(out, bytes);
    out.extend_from_slice(b"\r\n");
}

/// As [`write_line`], without the line's end.
pub(crate) fn write_text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 2);
    for &b in bytes {
        match b {
            b'\r' | b'\n' | 0 => out.push(b'?'),
            IAC => out.extend_from_slice(&[IAC, IAC]),
            b => out.push(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(limit: usize, segments: &[&[u8]]) -> Vec<Result<Vec<u8>, Vec<u8>>> {
        let mut decoder = LineDecoder::new(limit);
        let mut out = Vec::new();
        for segment in segments {
            let mut rest = *segment;
            while !rest.is_empty() {
                let (read, line) = decoder.feed(rest);
                match line {
                    Some(Line::Whole(line)) => out.push(Ok(line.to_vec())),
                    Some(Line::Overlong(head)) => out.push(Err(head.to_vec())),
                    None => assert_eq!(read, rest.len()),
                }
                rest = &rest[read..];
            }
        }
        out
    }

    #[test]
    fn ends_of_lines() {
        assert_eq!(
            lines(99, &[b"NOOP\r\nPWD\nCWD a\rb\r\nX\r\0Y\r\n\r\n"]),
            [&b"NOOP"[..], b"PWD", b"CWD a\rb", b"X\rY", b""].map(|l| Ok(l.to_vec()))
        );
    }

    #[test]
    fn telnet_vanishes() {
        let bytes = b"\xff\xf4\xff\xf2ABOR\r\nA\xff\xfd\x01B\xff\xff\xff\xfa\x18\x01\xff\xf0C\r\n\xffname\r\n";
        assert_eq!(lines(99, &[bytes]), [&b"ABOR"[..], b"AB\xffC", b"\xffname"].map(|l| Ok(l.to_vec())));
    }

    #[test]
    fn telnet_between_cr_and_lf_leaves_the_end_of_the_line() {
        for command in [&b"\xff\xf1"[..], b"\xff\xf4\xff\xf2", b"\xff\xfd\x01", b"\xff\xfa\x18\x01\xff\xf0"] {
            let bytes = [b"NOOP\r", command, b"\nPWD\r", command, b"\0\r\n"].concat();
            assert_eq!(lines(99, &[&bytes]), [&b"NOOP"[..], b"PWD\r"].map(|l| Ok(l.to_vec())), "{command:02x?}");
        }
        assert_eq!(lines(99, &[b"A\r\xff\xff\r\r\n"]), [Ok(b"A\r\xff\r".to_vec())], "what is text keeps its CR");
    }

    #[test]
    fn an_open_subnegotiation_ends_with_the_line() {
        assert_eq!(lines(99, &[b"\xff\xfajunk\r\nNOOP\r\n"]), [&b""[..], b"NOOP"].map(|l| Ok(l.to_vec())));
    }

    #[test]
    fn options_are_refused_and_the_answers_bounded() {
        let mut decoder = LineDecoder::new(99);
        decoder.feed(b"\xff\xfd\x01\xff\xfb\x03\xff\xfe\x05");
        assert_eq!(decoder.take_answers(), [IAC, WONT, 1, IAC, DONT, 3]);
        decoder.feed(&b"\xff\xfd\x01".repeat(1000));
        assert!(decoder.take_answers().len() <= MAX_ANSWERS);
    }

    #[test]
    fn the_tail_of_an_overlong_line_is_never_a_line() {
        let mut input = b"RETR ".to_vec();
        input.extend(std::iter::repeat_n(b'x', 1_000_000));
        input.extend(b"\r\nNOOP\r\n");
        let got = lines(16, &input.chunks(999).collect::<Vec<_>>());
        assert_eq!(got, [Err(b"RETR xxxxxxxxxxx".to_vec()), Ok(b"NOOP".to_vec())]);
    }

    #[test]
    fn a_line_of_just_the_limit_is_whole() {
        assert_eq!(lines(4, &[b"NOOP\r\n", b"NOOPE\r\n"]), [Ok(b"NOOP".to_vec()), Err(b"NOOP".to_vec())]);
    }

    #[test]
    fn written_text_cannot_end_its_line() {
        let mut out = Vec::new();
        write_line(&mut out, b"a\r\n226 ok\0\xff");
        assert_eq!(out, b"a??226 ok?\xff\xff\r\n");
    }

    proptest! {
        #[test]
        fn any_segmentation_gives_the_same_lines(
            bytes in proptest::collection::vec(prop_oneof![
                Just(b'\r'), Just(b'\n'), Just(0u8), Just(0xffu8), 240u8..=255, Just(b'a'), any::<u8>()
            ], 0..200),
            cuts in proptest::collection::vec(0usize..200, 0..8),
            limit in 0usize..64,
        ) {
            let whole = lines(limit, &[&bytes]);
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|&c| c < bytes.len()).collect();
            cuts.sort_unstable();
            let mut segments = Vec::new();
            let mut from = 0;
            for cut in cuts {
                segments.push(&bytes[from..cut]);
                from = cut;
            }
            segments.push(&bytes[from..]);
            prop_assert_eq!(lines(limit, &segments), whole);
        }

        /// Between any two bytes of a stream, those of IAC IAC aside, which are one.
        #[test]
        fn telnet_commands_anywhere_change_no_line(
            text in proptest::collection::vec(prop_oneof![
                Just(&b"\r"[..]), Just(&b"\n"[..]), Just(&b"\r\n"[..]), Just(&b"\0"[..]), Just(&b"\xff\xff"[..]), Just(&b"a"[..])
            ], 0..60),
            command in prop_oneof![
                Just(&b"\xff\xf1"[..]), Just(&b"\xff\xf4\xff\xf2"[..]), Just(&b"\xff\xfb\r"[..]),
                Just(&b"\xff\xfa\x18\r\xff\xff\xff\xf0"[..])
            ],
            limit in 0usize..64,
        ) {
            let mut units: Vec<&[u8]> = Vec::new();
            for part in text {
                if part == b"\r\n" { units.extend([&b"\r"[..], b"\n"]) } else { units.push(part) }
            }
            let whole = lines(limit, &[&units.concat()]);
            for at in 0..=units.len() {
                let (before, behind) = units.split_at(at);
                let bytes = [&before.concat(), command, &behind.concat()].concat();
                prop_assert_eq!(lines(limit, &[&bytes]), whole.clone(), "at {}", at);
            }
        }

        #[test]
        fn written_lines_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            prop_assume!(!bytes.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
            let mut out = Vec::new();
            write_line(&mut out, &bytes);
            prop_assert_eq!(lines(99, &[&out]), [Ok(bytes)]);
        }
    }
}
