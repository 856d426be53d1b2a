//! Replies, both ways: written by the server, read by the client and by the decoder of captures (RFC 959 section 4.2).

use std::borrow::Cow;
use std::fmt;

use crate::line::write_text;
use crate::text::Shown;

/// The most lines that one reply may have before it is refused.
pub const MAX_REPLY_LINES: usize = 20_000;

/// The most bytes of text that one reply may have before it is refused.
pub const MAX_REPLY_BYTES: usize = 1024 * 1024;

/// A reply code, 100 to 659. Codes that no RFC names are kept as they are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

/// What the first digit of a reply says (RFC 959 section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodeClass {
    /// 1yz: the action is begun, another reply follows.
    Preliminary,
    /// 2yz: done.
    Completion,
    /// 3yz: accepted, another command is needed.
    Intermediate,
    /// 4yz: not done, and may be tried again.
    Transient,
    /// 5yz: not done.
    Permanent,
    /// 6yz: protected (RFC 2228).
    Protected,
}

impl Code {
    /// A code from its number; nothing where it is not 100 to 659.
    pub const fn new(number: u16) -> Option<Code> {
        if number >= 100 && number <= 659 { Some(Code(number)) } else { None }
    }

    /// A code that this crate itself writes; the table of [`crate::server`] is the only user.
    pub(crate) const fn known(number: u16) -> Code {
        debug_assert!(number >= 100 && number <= 659);
        Code(number)
    }

    /// The three digits as a number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// What the first digit says.
    pub const fn class(self) -> CodeClass {
        match self.0 / 100 {
            1 => CodeClass::Preliminary,
            2 => CodeClass::Completion,
            3 => CodeClass::Intermediate,
            4 => CodeClass::Transient,
            5 => CodeClass::Permanent,
            _ => CodeClass::Protected,
        }
    }

    /// 1yz.
    pub const fn is_preliminary(self) -> bool {
        matches!(self.class(), CodeClass::Preliminary)
    }

    /// 2yz.
    pub const fn is_completion(self) -> bool {
        matches!(self.class(), CodeClass::Completion)
    }

    /// 3yz.
    pub const fn is_intermediate(self) -> bool {
        matches!(self.class(), CodeClass::Intermediate)
    }

    /// 4yz or 5yz.
    pub const fn is_error(self) -> bool {
        matches!(self.class(), CodeClass::Transient | CodeClass::Permanent)
    }
}

impl PartialEq<u16> for Code {
    fn eq(&self, other: &u16) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One line of a reply's text.
pub type Text = Cow<'static, [u8]>;

/// A reply: a code and one line of text or more, each without code, CR and LF.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    code: Code,
    lines: Vec<Text>,
}

impl Reply {
    /// A reply of one line.
    pub fn new(code: Code, text: impl Into<Text>) -> Reply {
        Reply { code, lines: vec![text.into()] }
    }

    /// A reply of several lines; of one empty line where `lines` is empty.
    pub fn with_lines(code: Code, mut lines: Vec<Text>) -> Reply {
        if lines.is_empty() {
            lines.push(Cow::Borrowed(b""));
        }
        Reply { code, lines }
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The lines of text; one at least.
    pub fn lines(&self) -> &[Text] {
        &self.lines
    }

    /// The text of the last line, which in a reply of one line is all of it.
    pub fn text(&self) -> &[u8] {
        self.lines.last().map_or(b"", |line| line)
    }

    /// Appends the reply as it goes on the wire: `NNN-first`, inner lines indented by one space, `NNN last`. The
    /// indent keeps an inner line that begins with a code from ending the reply (RFC 959 section 4.2). Inner lines that
    /// begin with a space have theirs already. No text can end its line: see [`crate::line::write_line`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        let code = self.code.0;
        let digits = [code / 100, code / 10 % 10, code % 10].map(|d| b'0'.saturating_add(u8::try_from(d).unwrap_or(0)));
        let last = self.lines.len().saturating_sub(1);
        for (i, line) in self.lines.iter().enumerate() {
            if i == last {
                out.extend_from_slice(&digits);
                out.push(b' ');
            } else if i == 0 {
                out.extend_from_slice(&digits);
                out.push(b'-');
            } else if line.first() != Some(&b' ') {
                out.push(b' ');
            }
            write_text(out, line);
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl fmt::Display for Reply {
    /// The code and the last line, safe to show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, Shown(self.text()))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}", self.code)?;
        for line in &self.lines {
            write!(f, ", {:?}", Shown(line))?;
        }
        f.write_str(")")
    }
}

/// Why lines are no reply. The peer erred.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// A line that begins no reply and belongs to none.
    #[error("a reply without a code: {}", Shown(.0))]
    NoCode(Vec<u8>),
    /// More than [`MAX_REPLY_LINES`] lines or [`MAX_REPLY_BYTES`] bytes.
    #[error("a reply that does not end: more than {MAX_REPLY_LINES} lines or {MAX_REPLY_BYTES} bytes")]
    TooLong,
}

/// Puts lines together to replies.
///
/// Lenient where servers need it: blank lines before a reply are passed over; inner lines may carry the code
/// (`211-UTF8`), be indented or be bare; a bare `226` is a reply. A reply of several lines ends with a line that begins
/// with its code and a space. Some servers end one with another code; that may as well be text, and only the silence after it
/// tells: see [`ReplyDecoder::other_end`].
#[derive(Debug, Default)]
pub struct ReplyDecoder {
    begun: Option<(Code, Vec<Text>)>,
    bytes: usize,
    /// The last line would have been a reply of one line, with this code.
    other: Option<Code>,
}

impl ReplyDecoder {
    /// Takes a line and gives the reply that it ends.
    ///
    /// # Errors
    /// [`ReplyError`]; the decoder is then between two replies again.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let head = split_code(line);
        self.other = None;
        let Some((code, mut lines)) = self.begun.take() else {
            return match head {
                Some((code, Continues::No, text)) => Ok(Some(Reply::new(code, text.to_vec()))),
                Some((code, Continues::Yes, text)) => {
                    self.bytes = text.len();
                    self.begun = Some((code, vec![Cow::Owned(text.to_vec())]));
                    Ok(None)
                }
                None if line.trim_ascii().is_empty() => Ok(None),
                None => Err(ReplyError::NoCode(line.get(..line.len().min(200)).unwrap_or_default().to_vec())),
            };
        };
        let (text, ends) = match head {
            Some((c, Continues::No, text)) if c == code => (text, true),
            Some((c, Continues::Yes, text)) if c == code => (text, false),
            _ => (line, false),
        };
        self.bytes = self.bytes.saturating_add(text.len());
        if lines.len() >= MAX_REPLY_LINES || self.bytes > MAX_REPLY_BYTES {
            return Err(ReplyError::TooLong);
        }
        lines.push(Cow::Owned(text.to_vec()));
        if ends {
            return Ok(Some(Reply { code, lines }));
        }
        self.begun = Some((code, lines));
        self.other = head.filter(|(_, continues, _)| *continues == Continues::No).map(|(other, ..)| other);
        Ok(None)
    }

    /// About as many bytes as are kept.
    pub(crate) fn size(&self) -> usize {
        self.begun.as_ref().map_or(0, |(_, lines)| self.bytes + lines.len() * size_of::<Text>())
    }

    /// Whether the reply's last line may have been meant to end it, with another code than the reply has begun with.
    pub fn other_end(&self) -> bool {
        self.other.is_some()
    }

    /// Takes that line for the end, as nothing has followed it. Its code is the reply's.
    pub fn take_other_end(&mut self) -> Option<Reply> {
        let code = self.other.take()?;
        let (_, mut lines) = self.begun.take()?;
        if let Some(last) = lines.last_mut()
            && let Some((_, _, text)) = split_code(last)
        {
            *last = Cow::Owned(text.to_vec());
        }
        Some(Reply { code, lines })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Continues {
    Yes,
    No,
}

/// `NNN text`, `NNN-text` or a bare `NNN`.
fn split_code(line: &[u8]) -> Option<(Code, Continues, &[u8])> {
    let (digits, rest) = line.split_first_chunk::<3>()?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0u16, |n, d| n * 10 + u16::from(d - b'0'));
    let code = Code::new(number)?;
    match rest.split_first() {
        None => Some((code, Continues::No, b"")),
        Some((b' ', text)) => Some((code, Continues::No, text)),
        Some((b'-', text)) => Some((code, Continues::Yes, text)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn decode(text: &str) -> Vec<Result<Reply, ReplyError>> {
        let mut decoder = ReplyDecoder::default();
        text.lines().filter_map(|line| decoder.line(line.as_bytes()).transpose()).collect()
    }

    #[test]
    fn one_line_and_several() {
        let one = Reply::new(Code::known(226), &b"Transfer complete."[..]);
        assert_eq!(encoded(&one), "226 Transfer complete.\r\n");
        let feat = Reply::with_lines(
            Code::known(211),
            vec![b"Features:"[..].into(), b"UTF8"[..].into(), b" SIZE"[..].into(), b"End"[..].into()],
        );
        assert_eq!(encoded(&feat), "211-Features:\r\n UTF8\r\n SIZE\r\n211 End\r\n");
    }

    #[test]
    fn hostile_text_adds_no_line() {
        let reply = Reply::new(Code::known(550), b"a\r\n226 done".to_vec());
        assert_eq!(encoded(&reply), "550 a??226 done\r\n");
    }

    #[test]
    fn reads_what_servers_send() {
        let got = decode("220-Hello\n 220 not the end\n220-more\nbare\n220 end\n\n\n226\n331 next");
        assert_eq!(got.len(), 3);
        let first = got[0].as_ref().unwrap();
        assert_eq!(first.code(), 220);
        let lines: Vec<&[u8]> = first.lines().iter().map(|l| &**l).collect();
        assert_eq!(lines, [&b"Hello"[..], b" 220 not the end", b"more", b"bare", b"end"]);
        assert_eq!(got[1].as_ref().unwrap().text(), b"");
        assert_eq!(got[2].as_ref().unwrap().to_string(), "331 next");
    }

    #[test]
    fn refuses_what_is_none() {
        assert!(matches!(&decode("HTTP/1.1 400 Bad Request")[..], [Err(ReplyError::NoCode(_))]));
        assert!(matches!(&decode("999 x")[..], [Err(ReplyError::NoCode(_))]));
    }

    #[test]
    fn lines_with_other_codes_end_nothing() {
        let got = decode("150-a\n226 b\n226-c\n150-d\n150 e");
        let [Ok(reply)] = &got[..] else { panic!("{got:?}") };
        assert_eq!(reply.lines(), [&b"a"[..], b"226 b", b"226-c", b"d", b"e"]);
    }

    #[test]
    fn another_code_may_be_meant_to_end_a_reply() {
        let mut decoder = ReplyDecoder::default();
        let mut feed = |line: &str| {
            let reply = decoder.line(line.as_bytes()).unwrap();
            assert!(reply.is_none());
            decoder.other_end()
        };
        let maybe = ["230-a", "150 b", "226-c", " 226 d", "e", "220 f"].map(&mut feed);
        assert_eq!(maybe, [false, true, false, false, false, true]);
        let reply = decoder.take_other_end().unwrap();
        assert_eq!(reply.code(), 220);
        assert_eq!(reply.lines(), [&b"a"[..], b"150 b", b"226-c", b" 226 d", b"e", b"f"]);
        assert!(decoder.take_other_end().is_none());
        assert_eq!(decoder.line(b"331 next").unwrap().unwrap().code(), 331);
    }

    #[test]
    fn a_reply_is_as_long_as_the_limits_and_no_longer() {
        let lines = |n| decode(&("220-x\n".repeat(n - 1) + "220 x"));
        assert!(matches!(&lines(MAX_REPLY_LINES)[..], [Ok(_)]));
        assert_eq!(lines(MAX_REPLY_LINES + 1)[0], Err(ReplyError::TooLong));
        let half = "x".repeat(MAX_REPLY_BYTES / 2);
        assert!(matches!(&decode(&format!("220-{half}\n220 {half}"))[..], [Ok(_)]));
        for more in ["y", "yy"] {
            assert_eq!(decode(&format!("220-{half}\n220 {half}{more}")), [Err(ReplyError::TooLong)]);
        }
    }

    #[test]
    fn what_is_shown_steers_no_terminal() {
        let reply = Reply::with_lines(Code::known(250), vec![b"a\x1b[2J"[..].into(), b"End"[..].into()]);
        assert_eq!(format!("{reply:?}"), r#"Reply(250, "a\x1b[2J", "End")"#);
        assert_eq!((reply.to_string(), format!("{:?}", reply.code())), ("250 End".into(), "250".into()));
    }

    proptest! {
        #[test]
        fn replies_read_back(number in 100u16..=659, lines in proptest::collection::vec("[ -~]{0,20}", 1..6)) {
            // A space is put before inner lines and one at the front is kept: compare without it.
            let reply = Reply::with_lines(
                Code::new(number).unwrap(),
                lines.iter().map(|l| Cow::Owned(l.trim_start().as_bytes().to_vec())).collect(),
            );
            let text = encoded(&reply);
            let got = decode(&text);
            prop_assert_eq!(got.len(), 1);
            let got = got.into_iter().next().unwrap().unwrap();
            prop_assert_eq!(got.code(), reply.code());
            let trimmed = |r: &Reply| r.lines().iter().map(|l| l.trim_ascii_start().to_vec()).collect::<Vec<_>>();
            prop_assert_eq!(trimmed(&got), trimmed(&reply));
        }
    }
}
