//! A recording as a whole, parted into its sessions.

use std::collections::HashMap;
use std::io::BufRead;
use std::net::IpAddr;
use std::sync::Arc;

use port21_proto::SessionEvent;
use port21_proto::event::EventKind;

use super::{Header, MAX_EVENTS, ReadError, Reader};

/// All of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Its sessions, in the order in which they begin; none where nothing happened.
    pub sessions: Vec<RecordedSession>,
    /// Look-ups of names that belong to none of them: those of a capture.
    pub lookups: Vec<SessionEvent>,
    /// What was passed over or is missing, in plain sentences.
    pub notes: Vec<String>,
}

/// One session of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSession {
    /// Its name, where the file gives one.
    pub name: Option<String>,
    /// The header that it stands behind.
    pub header: Header,
    /// What happened, in the order of the file.
    pub events: Vec<SessionEvent>,
}

impl RecordedSession {
    /// Whether a host is an end of one of its connections.
    pub fn is_of(&self, host: IpAddr) -> bool {
        self.events.iter().any(|event| match &event.kind {
            EventKind::Opening(c) | EventKind::Opened(c) | EventKind::Joined(c) => {
                [c.client, c.server].into_iter().flatten().any(|end| end.ip().to_canonical() == host.to_canonical())
            }
            _ => false,
        })
    }
}

impl Recording {
    /// Reads a file. At most [`MAX_EVENTS`] events are kept; a note tells where there are more.
    ///
    /// # Errors
    /// [`ReadError`], which names the line.
    pub fn read(input: impl BufRead) -> Result<Recording, ReadError> {
        let mut reader = Reader::new(input)?;
        let mut sessions: Vec<RecordedSession> = Vec::new();
        let mut places: HashMap<(usize, Option<Arc<str>>), usize> = HashMap::new();
        let mut events = 0usize;
        let mut capped = false;
        while let Some(record) = reader.read()? {
            if events >= MAX_EVENTS {
                capped = true;
                break;
            }
            events += 1;
            let place = *places.entry((record.recording, record.session.clone())).or_insert_with(|| {
                let name = record.session.as_deref().map(str::to_owned);
                sessions.push(RecordedSession { name, header: reader.header().clone(), events: Vec::new() });
                sessions.len() - 1
            });
            if let Some(session) = sessions.get_mut(place) {
                session.events.push(record.event);
            }
        }
        let mut notes = reader.notes();
        if capped {
            notes.push(format!("only the first {MAX_EVENTS} events were read"));
        }
        Ok(Recording { sessions, lookups: Vec::new(), notes })
    }
}
