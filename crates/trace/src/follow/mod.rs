//! Sessions drawn while they go on: rows as soon as they are known.
//!
//! A [`Follower`] is given events as they come and, from time to time, asked for what is new. It draws as
//! [`render::text`](crate::render::text) does, with two differences. Lanes are not known before they are used, so that the
//! heads stand again where one is new; and ports of one host and use share a column, so that a long session does not grow to
//! the right. What a session is about is not known either before its end: it is judged only then.
//!
//! Memory: of each session the login and the last [`WINDOW`] events, of at most [`MAX_SESSIONS`] sessions. What the drawing
//! of a row needs of events that were dropped by then it does without.
//!
//! | module | what it is |
//! |---|---|
//! | `kept` | the events of a session that goes on, as far as there is room for them |

mod kept;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use port21_proto::event::{End, EventKind};
use port21_proto::{SessionEvent, Time};

pub use kept::{Ended, Kept};

use crate::findings::Severity;
use crate::ladder::{self, Shape, Tone};
use crate::recording::Header;
use crate::render::{Ink, Line, Sheet, TextOptions};
use crate::session::Session;

/// So many events of a session are kept; when there are more, the older half of them goes.
pub const WINDOW: usize = 2_000;

/// So many sessions are kept; for a further one the one goes that has been silent the longest.
pub const MAX_SESSIONS: usize = 64;

/// Draws sessions while they go on.
#[derive(Debug)]
pub struct Follower {
    ladder: ladder::Options,
    text: TextOptions,
    /// The one that had an event last is the last.
    sessions: Vec<Followed>,
    begun: usize,
    /// Whose rows were drawn last.
    shown: Option<usize>,
}

/// A session on its way.
#[derive(Debug)]
struct Followed {
    key: String,
    number: usize,
    kept: Kept,
    /// What was drawn of each event.
    told: HashMap<u64, u64>,
    sheet: Option<Sheet>,
    banner: Option<(usize, String)>,
    changed: bool,
}

/// What is said at a session's end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// In words, with what can be done.
    pub text: String,
    /// How much the worst finding matters.
    pub worst: Option<Severity>,
}

impl Follower {
    /// Follows nothing yet.
    pub fn new(ladder: ladder::Options, text: TextOptions) -> Follower {
        Follower { ladder, text, sessions: Vec::new(), begun: 0, shown: None }
    }

    /// Takes an event of the session that `key` names.
    pub fn push(&mut self, key: &str, header: &Header, event: SessionEvent) {
        self.with(key, header, |session| {
            session.kept.push(event);
            session.changed = true;
        });
    }

    /// Takes all that is known of the session that `key` names: what was known before is replaced. Whoever calls this bounds
    /// how much it is.
    pub fn replace(&mut self, key: &str, header: &Header, events: Vec<SessionEvent>) {
        self.with(key, header, |session| session.changed |= session.kept.replace(events));
    }

    /// Whether a session of this name is kept.
    pub fn has(&self, key: &str) -> bool {
        self.sessions.iter().any(|session| session.key == key)
    }

    /// Forgets a session.
    pub fn forget(&mut self, key: &str) {
        self.sessions.retain(|session| session.key != key);
    }

    /// How many sessions there are, and have been.
    pub fn count(&self) -> usize {
        self.begun
    }

    /// How each session has ended that is kept; none for one that goes on.
    pub fn endings(&self) -> impl Iterator<Item = (&str, Option<Ended>)> {
        self.sessions.iter().map(|session| (session.key.as_str(), session.kept.ended()))
    }

    /// Draws what is new.
    pub fn draw(&mut self) -> String {
        let mut out = String::new();
        let several = self.begun > 1;
        for session in self.sessions.iter_mut().filter(|session| session.changed) {
            let (sheet, linked) = session.sheet(&self.ladder, &self.text, false);
            let lines = session.new_lines(sheet, &linked, self.shown == Some(session.number), several);
            if !lines.is_empty() {
                self.shown = Some(session.number);
            }
            lines.iter().for_each(|line| line.write(&mut out, self.text.colour));
            session.changed = false;
            session.compact(&linked);
        }
        out
    }

    /// What is to be said at the end of a session, or of the following of it: what is wrong with it, and how it ended.
    pub fn verdict(&self, key: &str) -> Verdict {
        let mut out = String::new();
        let mut worst = None;
        let Some(session) = self.sessions.iter().find(|session| session.key == key) else { return Verdict::default() };
        let (sheet, _) = session.sheet(&self.ladder, &self.text, true);
        if session.kept.is_cut() {
            out.push_str("\n The begin of this session is no longer in memory: it is not judged here.\n");
        } else if !session.kept.events().is_empty() {
            worst = sheet.ladder().findings.iter().map(|marked| marked.finding.rule.severity).max();
            sheet.findings().iter().for_each(|line| line.write(&mut out, self.text.colour));
        }
        let name = if self.begun > 1 { format!("Session {}", session.number) } else { "The session".to_owned() };
        let told = match session.kept.ended() {
            Some(Ended::Closed(End::Client)) => "has ended: the client closed the control connection first",
            Some(Ended::Closed(End::Server)) => "has ended: the server closed the control connection first",
            Some(Ended::Reset(End::Client)) => "has ended: the control connection was reset from the client's side",
            Some(Ended::Reset(End::Server)) => "has ended: the control connection was reset from the server's side",
            Some(Ended::Unopened) => "has ended: its control connection did not come to stand",
            None => "had not ended",
        };
        out.push_str(&format!("\n {name} {told}.\n"));
        Verdict { text: out, worst }
    }

    /// Does something to the session that `key` names, which thereby is the last.
    fn with(&mut self, key: &str, header: &Header, what: impl FnOnce(&mut Followed)) {
        let mut followed = match self.sessions.iter().position(|session| session.key == key) {
            Some(at) => self.sessions.remove(at),
            None => {
                if self.sessions.len() >= MAX_SESSIONS {
                    self.sessions.remove(0);
                }
                self.begun += 1;
                Followed::new(key, self.begun, header)
            }
        };
        what(&mut followed);
        self.sessions.push(followed);
    }
}

impl Followed {
    fn new(key: &str, number: usize, header: &Header) -> Followed {
        Followed {
            key: key.to_owned(),
            number,
            kept: Kept::new(header),
            told: HashMap::new(),
            sheet: None,
            banner: None,
            changed: false,
        }
    }

    fn sheet(&self, options: &ladder::Options, text: &TextOptions, judge: bool) -> (Sheet, Session) {
        let options = ladder::Options { fold: false, judge, ..options.clone() };
        let (ladder, linked) = self.kept.ladder(&options);
        (Sheet::steady(ladder, text.clone(), self.sheet.as_ref()), linked)
    }

    /// The lines of rows that are new, or say more than they did.
    fn new_lines(&mut self, sheet: Sheet, linked: &Session, continued: bool, several: bool) -> Vec<Line> {
        let keys = keys(linked.events());
        let mut lines: Vec<Line> = Vec::new();
        let mut heads = !continued || self.sheet.as_ref().is_none_or(|before| !sheet.has_heads_of(before));
        let mut told: HashMap<u64, u64> = HashMap::with_capacity(keys.len());
        let mut silence: Option<usize> = None;
        for (s, section) in sheet.ladder().sections.iter().enumerate() {
            for n in section.rows.clone() {
                let Some(row) = sheet.ladder().rows.get(n) else { continue };
                let Some(key) = row.event.and_then(|event| keys.get(event)) else {
                    silence = matches!(row.shape, Shape::Across).then_some(n);
                    continue;
                };
                let says = hash(&(&row.label, &row.detail));
                let silence = silence.take();
                let known = self.told.get(key).is_some_and(|before| *before == says || row.tone != Tone::Data);
                if row.tone == Tone::Data || !told.contains_key(key) {
                    told.insert(*key, says);
                }
                if known {
                    continue;
                }
                if std::mem::take(&mut heads) {
                    if several && !continued {
                        lines.push(Line::of("", Ink::Plain));
                        lines.push(Line::of(&format!(" Session {}: {}", self.number, sheet.ladder().title), Ink::Bold));
                    }
                    lines.extend(sheet.heads());
                }
                let title = (section.number, section.title.clone());
                if self.banner.as_ref() != Some(&title) {
                    lines.extend(sheet.banner(s));
                    self.banner = Some(title);
                }
                silence.into_iter().for_each(|n| lines.extend(sheet.row(n)));
                lines.extend(sheet.row(n));
            }
        }
        // What has no row now has none later either, but where a row says so by its change.
        for key in keys {
            told.entry(key).or_insert(0);
        }
        self.told = told;
        if !lines.is_empty() {
            self.sheet = Some(sheet);
        }
        lines
    }

    /// Drops what there is no room for.
    fn compact(&mut self, linked: &Session) {
        if self.kept.compact(linked, WINDOW) {
            let keys = keys(self.kept.events());
            // All that is kept was drawn; numbers of like events of one time may have changed.
            self.told = keys.into_iter().map(|key| (key, self.told.get(&key).copied().unwrap_or(0))).collect();
        }
    }
}

/// A name for each event, which it keeps while others are added, and no other has.
fn keys(events: &[SessionEvent]) -> Vec<u64> {
    let mut counts: HashMap<(Time, u64), u32> = HashMap::new();
    let mut of = |event: &SessionEvent| {
        // The connection's number is no part of it: it may change when more is known.
        let mut hasher = DefaultHasher::new();
        std::mem::discriminant(&event.kind).hash(&mut hasher);
        if let EventKind::Data { since, from, .. } = &event.kind {
            // It grows while it is being told: its begin is what stays.
            since.hash(&mut hasher);
            from.hash(&mut hasher);
        }
        let at = if let EventKind::Data { since, .. } = event.kind { since } else { event.at };
        let nth = counts.entry((at, hasher.finish())).or_insert(0);
        *nth += 1;
        hash(&(at, hasher.finish(), *nth))
    };
    events.iter().map(&mut of).collect()
}

fn hash(of: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
