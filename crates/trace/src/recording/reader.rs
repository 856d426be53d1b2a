//! Lines to events.

use std::io::{BufRead, Read as _};
use std::sync::Arc;

use port21_proto::SessionEvent;

use super::line::{EventLine, HeaderHead, HeaderLine, KindOnly};
use super::{FORMAT, Header, MAX_LINE, ReadError, VERSION};
use crate::words::shown;

/// The most notes that are kept; further ones are counted in the last.
const MAX_NOTES: usize = 20;

/// Reads a recording line by line: memory does not grow with the file.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    line: u64,
    header: Header,
    recording: usize,
    session: Option<Arc<str>>,
    notes: Vec<String>,
    more_notes: u64,
    ended: bool,
}

/// An event and the session that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Which of the headers of the file it stands behind, from 0: files may be joined.
    pub recording: usize,
    /// The session's name, where the file gives one.
    pub session: Option<Arc<str>>,
    /// The event.
    pub event: SessionEvent,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`ReadError`]: there is none, or its version is newer than [`VERSION`].
    pub fn new(input: R) -> Result<Reader<R>, ReadError> {
        let mut reader = Reader {
            input,
            line: 0,
            header: Header::new(super::Recorder::Client, port21_proto::Time::ZERO),
            recording: 0,
            session: None,
            notes: Vec::new(),
            more_notes: 0,
            ended: false,
        };
        let Some((line, _)) = reader.next_line()? else { return Err(ReadError::Empty) };
        let no_header = |e: serde_json::Error| ReadError::NotARecording(plain(&e));
        let head: HeaderHead = serde_json::from_slice(&line).map_err(no_header)?;
        if head.format != FORMAT {
            return Err(ReadError::NotARecording(format!("its format is {:?}", shown(head.format.as_bytes()))));
        }
        reader.take_header(&head, &line)?;
        Ok(reader)
    }

    /// The header that was read last: the one of the records that come now.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What was passed over or is missing, in plain sentences; complete once the records have ended.
    pub fn notes(&self) -> Vec<String> {
        let more = (self.more_notes > 0).then(|| format!("and {} more such lines", self.more_notes));
        self.notes.iter().cloned().chain(more).collect()
    }

    /// The next event; nothing at the end.
    ///
    /// # Errors
    /// [`ReadError`], which names the line.
    pub fn read(&mut self) -> Result<Option<Record>, ReadError> {
        loop {
            let Some((line, whole)) = self.next_line()? else { return Ok(None) };
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<EventLine>(&line) {
                Ok(parsed) => {
                    let session = parsed.session.as_deref().map(Arc::from).or_else(|| self.session.clone());
                    let event = parsed.into_event().map_err(|what| ReadError::Line { line: self.line, what })?;
                    if let Some(event) = event {
                        return Ok(Some(Record { recording: self.recording, session, event }));
                    }
                    let kind = serde_json::from_slice::<KindOnly>(&line).map(|k| k.kind).unwrap_or_default();
                    let kind = crate::words::clip(&shown(kind.as_bytes()), 40);
                    self.note(format!("line {}: a kind of event that this port21 does not know ({kind})", self.line));
                }
                Err(error) => match serde_json::from_slice::<HeaderHead>(&line) {
                    Ok(head) if head.format == FORMAT => {
                        self.take_header(&head, &line)?;
                        self.recording += 1;
                    }
                    _ if !whole => {
                        self.note(format!("line {}: the recording was cut off in this, its last line", self.line));
                        return Ok(None);
                    }
                    _ => return Err(ReadError::Line { line: self.line, what: plain(&error) }),
                },
            }
        }
    }

    fn take_header(&mut self, head: &HeaderHead, line: &[u8]) -> Result<(), ReadError> {
        if head.version > VERSION {
            return Err(ReadError::Newer { line: self.line, version: head.version });
        }
        let parsed: HeaderLine = serde_json::from_slice(line).map_err(|e| match self.line {
            1 => ReadError::NotARecording(plain(&e)),
            line => ReadError::Line { line, what: plain(&e) },
        })?;
        self.header = parsed.into();
        self.session = self.header.session.as_deref().map(Arc::from);
        Ok(())
    }

    /// The next line without its end, and whether it has one.
    fn next_line(&mut self) -> Result<Option<(Vec<u8>, bool)>, ReadError> {
        if self.ended {
            return Ok(None);
        }
        let mut line = Vec::new();
        let limit = MAX_LINE as u64 + 1;
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut line)?;
        if read == 0 {
            self.ended = true;
            return Ok(None);
        }
        self.line += 1;
        let whole = line.last() == Some(&b'\n');
        if !whole && line.len() > MAX_LINE {
            self.ended = true;
            return Err(ReadError::TooLong { line: self.line });
        }
        if whole {
            line.pop();
        } else {
            self.ended = true;
        }
        Ok(Some((line, whole)))
    }

    fn note(&mut self, text: String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(text);
        } else {
            self.more_notes += 1;
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.read().transpose();
        if matches!(item, Some(Err(_))) {
            self.ended = true;
        }
        item
    }
}

/// serde_json's words, without the line number that is always 1 here.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line 1 column ").collect::<Vec<_>>().join(", column ");
    crate::words::clip(&shown(text.as_bytes()), 200)
}
