//! The sessions that there are: whole ones of files, and those that go on.

use std::net::SocketAddr;
use std::time::Duration;

use port21_proto::{SessionEvent, Time};
use port21_trace::findings::{Severity, findings};
use port21_trace::follow::Kept;
use port21_trace::ladder::{self, Ladder};
use port21_trace::recording::{RecordedSession, Recorder};
use port21_trace::session::{Direction, Session};

/// A session.
#[derive(Debug)]
pub(super) struct Held {
    /// Names it for as long as it is there.
    pub(super) key: String,
    /// Its number, from 1.
    pub(super) number: usize,
    /// Its name in the recording.
    pub(super) name: Option<String>,
    /// Counts what was added to it.
    pub(super) revision: u64,
    what: What,
    facts: Option<Facts>,
}

#[derive(Debug)]
enum What {
    Whole(RecordedSession),
    Growing(Kept),
}

/// What the list says of a session.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) client: Option<SocketAddr>,
    pub(super) server: Option<SocketAddr>,
    pub(super) user: String,
    pub(super) start: Time,
    pub(super) took: Duration,
    pub(super) transfers: usize,
    pub(super) bytes: u64,
    pub(super) worst: Option<Severity>,
    /// Whether it goes on: then nobody has judged it yet.
    pub(super) goes_on: bool,
}

impl Held {
    /// A session of a file.
    pub(super) fn whole(number: usize, session: RecordedSession) -> Held {
        let (key, name) = (number.to_string(), session.name.clone());
        Held { key, number, name, revision: 0, what: What::Whole(session), facts: None }
    }

    /// One that goes on.
    pub(super) fn growing(number: usize, key: &str, name: Option<String>, kept: Kept) -> Held {
        Held { key: key.to_owned(), number, name, revision: 0, what: What::Growing(kept), facts: None }
    }

    /// Adds to one that goes on.
    pub(super) fn grow(&mut self, add: impl FnOnce(&mut Kept) -> bool) {
        if let What::Growing(kept) = &mut self.what
            && add(kept)
        {
            self.revision += 1;
            self.facts = None;
        }
    }

    /// Whether it goes on.
    pub(super) fn goes_on(&self) -> bool {
        matches!(&self.what, What::Growing(kept) if kept.ended().is_none())
    }

    /// Whether its packets were seen.
    pub(super) fn is_captured(&self) -> bool {
        let header = match &self.what {
            What::Whole(session) => &session.header,
            What::Growing(kept) => kept.header(),
        };
        header.by == Recorder::Capture
    }

    /// Whether it is drawn while it grows.
    pub(super) fn is_growing(&self) -> bool {
        matches!(self.what, What::Growing(_))
    }

    /// Why nobody has judged it.
    pub(super) fn unjudged(&self) -> Option<&'static str> {
        match &self.what {
            What::Growing(kept) if kept.ended().is_none() => {
                Some("The session goes on: it is judged at its end, for what is missing may be about to come.")
            }
            What::Growing(kept) if kept.is_cut() => {
                Some("The begin of this session is no longer in memory: it is not judged here.")
            }
            _ => None,
        }
    }

    /// When it had its last event.
    pub(super) fn last(&self) -> Time {
        self.events().last().map(|event| event.at).unwrap_or_default()
    }

    fn events(&self) -> &[SessionEvent] {
        match &self.what {
            What::Whole(session) => &session.events,
            What::Growing(kept) => kept.events(),
        }
    }

    /// Its ladder. One that goes on is not judged: what is missing may be about to come.
    pub(super) fn ladder(&self, options: &ladder::Options) -> (Ladder, Session) {
        match &self.what {
            What::Whole(session) => {
                let linked = Session::from_events(session.events.iter().cloned());
                (self.drawn(&linked, options), linked)
            }
            What::Growing(kept) => {
                let judge = self.unjudged().is_none();
                kept.ladder(&ladder::Options { judge, ..options.clone() })
            }
        }
    }

    /// As [`Held::ladder`], where the session is linked already.
    pub(super) fn redrawn(&self, linked: Session, options: &ladder::Options) -> (Ladder, Session) {
        match &self.what {
            What::Whole(_) => (self.drawn(&linked, options), linked),
            What::Growing(_) => self.ladder(options),
        }
    }

    fn drawn(&self, linked: &Session, options: &ladder::Options) -> Ladder {
        let own = match &self.what {
            What::Whole(session) => session.header.title.clone(),
            What::Growing(_) => None,
        };
        let title = options.title.clone().or(own);
        Ladder::new(linked, &ladder::Options { title, ..options.clone() })
    }

    /// It as it is recorded.
    pub(super) fn recorded(&self) -> RecordedSession {
        match &self.what {
            What::Whole(session) => session.clone(),
            What::Growing(kept) => RecordedSession {
                name: self.name.clone(),
                header: kept.header().clone(),
                events: kept.events().to_vec(),
            },
        }
    }

    /// What the list says of it.
    pub(super) fn facts(&mut self) -> &Facts {
        let facts = match self.facts.take() {
            Some(facts) => facts,
            None => self.found(),
        };
        self.facts.insert(facts)
    }

    fn found(&self) -> Facts {
        let session = Session::from_events(self.events().iter().cloned());
        let judged = if self.unjudged().is_none() { findings(&session) } else { Vec::new() };
        let control = session.control();
        let span = session.span();
        Facts {
            client: control.and_then(|c| c.client),
            server: control.and_then(|c| c.server),
            user: session.login().map(|login| login.user.clone()).unwrap_or_default(),
            start: span.start,
            took: span.end.since(span.start),
            transfers: session.transfers().len(),
            bytes: session.bytes(Direction::Down).saturating_add(session.bytes(Direction::Up)),
            worst: judged.iter().map(|finding| finding.rule.severity).max(),
            goes_on: self.goes_on(),
        }
    }

    /// How much its worst finding matters. One that goes on is judged as it is, one whose middle was dropped is not.
    pub(super) fn worst(&self) -> Option<Severity> {
        if matches!(&self.what, What::Growing(kept) if kept.is_cut()) {
            return None;
        }
        findings(&Session::from_events(self.events().iter().cloned())).iter().map(|finding| finding.rule.severity).max()
    }
}
