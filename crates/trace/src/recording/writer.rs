//! Events to lines.

use std::fmt::Write as _;
use std::io::{self, Write};

use port21_proto::SessionEvent;
use port21_proto::event::EventKind;
use port21_proto::text::is_deceptive;
use serde::Serialize;

use super::Header;
use super::line::{EventLine, HeaderLine};
use crate::mask::masked;

/// Room that a limited recording keeps for the note that says it is full.
const LAST_WORDS: u64 = 512;

/// Writes a recording.
///
/// Each line is given to the output in one call and flushed: what happened before a crash is on record. Give it an
/// unbuffered output (a `File`), since each line is one write already.
#[derive(Debug)]
pub struct Writer<W: Write> {
    output: W,
    written: u64,
    limit: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Full,
    Broken,
}

impl<W: Write> Writer<W> {
    /// Writes the header. The recording may grow without bound: see [`Writer::with_limit`].
    ///
    /// # Errors
    /// Those of the output.
    pub fn new(output: W, header: &Header) -> io::Result<Writer<W>> {
        Writer::with_limit(output, header, u64::MAX)
    }

    /// Writes the header. The recording ends, with a note that says so, before it would have more than `limit` bytes;
    /// events that come later are dropped. A limit that is too small for the header holds only that.
    ///
    /// # Errors
    /// Those of the output.
    pub fn with_limit(output: W, header: &Header, limit: u64) -> io::Result<Writer<W>> {
        let mut writer = Writer { output, written: 0, limit, state: State::Open };
        let line = encode(&HeaderLine::from(header))?;
        writer.put(line)?;
        Ok(writer)
    }

    /// Writes an event.
    ///
    /// # Errors
    /// Those of the output. A line may then be there in part: the recording is at its end, and each further call
    /// fails too.
    pub fn write(&mut self, event: &SessionEvent) -> io::Result<()> {
        self.write_line(None, event)
    }

    /// Writes an event of one of several sessions in this file.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn write_of(&mut self, session: &str, event: &SessionEvent) -> io::Result<()> {
        self.write_line(Some(session), event)
    }

    /// Whether the limit is reached: events are dropped.
    pub fn is_full(&self) -> bool {
        self.state == State::Full
    }

    /// The output.
    pub fn into_inner(self) -> W {
        self.output
    }

    fn write_line(&mut self, session: Option<&str>, event: &SessionEvent) -> io::Result<()> {
        match self.state {
            State::Open => {}
            State::Full => return Ok(()),
            State::Broken => return Err(io::Error::other("the recording ended with an earlier error")),
        }
        let line = encode(&EventLine::new(session, event.at, &masked(&event.kind)))?;
        let after = self.written.saturating_add(line.len() as u64).saturating_add(LAST_WORDS);
        if after <= self.limit {
            return self.put(line);
        }
        self.state = State::Full;
        let text = format!("the recording ends here: its limit of {} bytes is reached", self.limit);
        let note = EventKind::Note { connection: None, text };
        let line = encode(&EventLine::new(session, event.at, &note))?;
        if self.written.saturating_add(line.len() as u64) < self.limit { self.put(line) } else { Ok(()) }
    }

    fn put(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        let done = self.output.write_all(&line).and_then(|()| self.output.flush());
        match done {
            Ok(()) => self.written = self.written.saturating_add(line.len() as u64),
            Err(_) => self.state = State::Broken,
        }
        done
    }
}

/// JSON that steers no terminal it is shown on. It has escapes for ASCII's controls of its own accord, but for DEL and those
/// beyond ASCII only by choice.
fn encode(line: &impl Serialize) -> io::Result<Vec<u8>> {
    let line = serde_json::to_string(line)?;
    if line.bytes().all(|b| b.is_ascii() && b != 0x7f) {
        return Ok(line.into_bytes());
    }
    let mut shown = String::with_capacity(line.len());
    for c in line.chars() {
        if c == '\x7f' || is_deceptive(c) {
            // All of them are of the first plane: four digits. Writing to a string does not fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Ok(shown.into_bytes())
}
