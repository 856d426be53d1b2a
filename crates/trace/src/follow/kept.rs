//! The events of a session that goes on, as far as there is room for them.

use std::time::Duration;

use port21_proto::event::{Closing, End, EventKind, Purpose};
use port21_proto::{SessionEvent, Verb};

use crate::ladder::{self, Ladder};
use crate::recording::Header;
use crate::session::{SectionKind, Session};

/// The most events of address and login that are kept for good.
const HEAD: usize = 256;

/// A session that goes on: its login, and what happened last.
#[derive(Clone, Debug)]
pub struct Kept {
    header: Header,
    events: Vec<SessionEvent>,
    /// How many of its sections were dropped.
    sections: usize,
    cut: bool,
    /// Whoever gives its events gives all of them each time, and keeps them few.
    whole: bool,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The control connection was closed, first by this side.
    Closed(End),
    /// The control connection was broken off by this side, or on its way.
    Reset(End),
    /// The control connection did not come to stand.
    Unopened,
}

impl Kept {
    /// A session of which nothing has happened yet.
    pub fn new(header: &Header) -> Kept {
        Kept { header: header.clone(), events: Vec::new(), sections: 0, cut: false, whole: false }
    }

    /// Takes an event; its place is by its time.
    pub fn push(&mut self, event: SessionEvent) {
        let place = self.events.partition_point(|e| e.at <= event.at);
        self.events.insert(place, event);
    }

    /// Takes all that is known in place of what was known before, and says whether that is something else. Whoever calls this
    /// bounds how much it is.
    pub fn replace(&mut self, mut events: Vec<SessionEvent>) -> bool {
        events.sort_by_key(|event| event.at);
        self.whole = true;
        let changed = self.events != events;
        self.events = events;
        changed
    }

    /// What it was recorded by.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The events that are kept, in the order of time.
    pub fn events(&self) -> &[SessionEvent] {
        &self.events
    }

    /// Whether events behind its login were dropped: then nobody can judge it.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// How it has ended; nothing while it goes on.
    pub fn ended(&self) -> Option<Ended> {
        ended(&self.events)
    }

    /// Its ladder; the title is the one asked for, else the recording's. Numbers of sections count those that were dropped.
    pub fn ladder(&self, options: &ladder::Options) -> (Ladder, Session) {
        let linked = Session::from_events(self.events.iter().cloned());
        let title = options.title.clone().or_else(|| self.header.title.clone());
        let mut ladder = Ladder::new(&linked, &ladder::Options { title, ..options.clone() });
        // The decimals of times are not to change on the way.
        ladder.end = ladder.end.max(ladder.start + Duration::from_secs(1));
        let first = ladder.sections.iter().take_while(|s| is_head(s.kind)).count();
        for section in ladder.sections.iter_mut().skip(first) {
            section.number += self.sections;
            section.through += self.sections;
        }
        (ladder, linked)
    }

    /// Where there are more than `most` events, drops the older half of those between the login and now. `linked` is what
    /// [`Kept::ladder`] gave; whether anything was dropped is what comes back.
    pub fn compact(&mut self, linked: &Session, most: usize) -> bool {
        if self.whole || self.events.len() <= most {
            return false;
        }
        let head = linked.sections().iter().take_while(|s| is_head(s.kind));
        let (sections, head) = head.fold((0, 0), |(n, _), section| (n + 1, section.events.end));
        let head = head.min(HEAD);
        let is_command = |event: &SessionEvent| matches!(event.kind, EventKind::Command { .. });
        let from = self.events.len().saturating_sub(most / 2).max(head);
        let cut = (from..self.events.len()).find(|&i| self.events.get(i).is_some_and(is_command)).unwrap_or(from);
        // How bytes are represented matters to all transfers that follow.
        let kind =
            linked.exchanges().iter().rev().find(|x| {
                x.verb == Some(Verb::Type) && x.command.is_some_and(|command| (head..cut).contains(&command))
            });
        let kind: Vec<usize> =
            kind.iter().flat_map(|x| x.command.into_iter().chain(x.replies.iter().copied())).collect();
        let after = linked.sections().iter().skip(sections);
        let cut_sections = after.filter(|section| section.events.end <= cut).count();
        // The one that keeps the TYPE stays.
        self.sections += cut_sections.saturating_sub(usize::from(!kind.is_empty() && cut_sections > 0));
        let mut n = 0;
        self.events.retain(|_| {
            n += 1;
            n - 1 < head || n > cut || kind.contains(&(n - 1))
        });
        self.cut = true;
        true
    }
}

/// The sections whose events are kept for good.
fn is_head(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::Address | SectionKind::Login)
}

/// How a session has ended, by its first control connection.
fn ended(events: &[SessionEvent]) -> Option<Ended> {
    let control = events.iter().find_map(|event| match &event.kind {
        EventKind::Opening(c) | EventKind::Opened(c) | EventKind::Joined(c) if c.purpose == Purpose::Control => {
            Some(c.id)
        }
        _ => None,
    })?;
    let mut first = None;
    let mut both = 0;
    for event in events {
        match event.kind {
            EventKind::OpenFailed { connection, .. } if connection == control => return Some(Ended::Unopened),
            EventKind::Closed { connection, by, how: Closing::Reset } if connection == control => {
                return Some(Ended::Reset(by));
            }
            EventKind::Closed { connection, by, .. } if connection == control => {
                first.get_or_insert(by);
                both += 1;
            }
            _ => {}
        }
    }
    first.filter(|_| both > 0).map(Ended::Closed)
}
