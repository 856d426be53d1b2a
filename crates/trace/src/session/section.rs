//! The parts of a session that a person would name.

use std::ops::Range;

use port21_proto::event::{EventKind, Purpose, Segment};
use port21_proto::{SessionEvent, Verb};

use super::Session;
use crate::mask::masked;
use crate::words::{clip, counted, shown};

/// A run of events that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section {
    /// What it is about.
    pub kind: SectionKind,
    /// `Download of readme.txt`.
    pub title: String,
    /// What it was done with: `PORT + RETR`; may be empty.
    pub detail: String,
    /// Its events, as indices into [`Session::events`].
    pub events: Range<usize>,
    /// Whether a command in it was refused.
    pub failed: bool,
}

/// What a section is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SectionKind {
    /// The name server.
    Address,
    /// The control connection and the login.
    Login,
    /// LIST, NLST, MLSD.
    Listing,
    /// CWD, CDUP.
    Directory,
    /// RETR.
    Download,
    /// STOR, STOU, APPE.
    Upload,
    /// DELE, RNFR, MKD and others that change files without a transfer.
    Files,
    /// SYST, FEAT, TYPE and others that ask or set.
    Settings,
    /// QUIT and the end of the control connection.
    End,
    /// What is none of these.
    Other,
}

impl SectionKind {
    /// The word for it in tables: `dns`, `login`, `list`, `cwd`, `get`, `put`, `files`, `settings`, `quit`, `other`.
    pub const fn key(self) -> &'static str {
        match self {
            SectionKind::Address => "dns",
            SectionKind::Login => "login",
            SectionKind::Listing => "list",
            SectionKind::Directory => "cwd",
            SectionKind::Download => "get",
            SectionKind::Upload => "put",
            SectionKind::Files => "files",
            SectionKind::Settings => "settings",
            SectionKind::End => "quit",
            SectionKind::Other => "other",
        }
    }
}

/// Parts the session's events into sections.
pub(super) fn part(session: &mut Session) {
    let mut starts = Parting::default();
    for (i, event) in session.events.iter().enumerate() {
        starts.event(session, i, event);
    }
    let mut starts = starts.finish();
    match starts.first_mut() {
        Some((first, _)) => *first = 0,
        None if session.events.is_empty() => return,
        None => starts.push((0, SectionKind::Other)),
    }
    // What the user did leads to what follows: it stands at the head of the section that it began.
    let is_user = |i: usize| matches!(session.events.get(i).map(|e| &e.kind), Some(EventKind::User { .. }));
    let mut floor = 0;
    for (start, _) in &mut starts {
        while *start > floor && is_user(*start - 1) {
            *start -= 1;
        }
        floor = *start + 1;
    }
    let ends: Vec<usize> = starts.iter().skip(1).map(|&(start, _)| start).chain([session.events.len()]).collect();
    let sections = starts.into_iter().zip(ends).map(|((start, kind), end)| named(session, kind, start..end));
    session.sections = sections.collect();
}

/// Where sections begin, as the events go by.
#[derive(Default)]
struct Parting {
    starts: Vec<(usize, SectionKind)>,
    /// The first of the commands that prepare a transfer, as long as it is not known whether one follows.
    preparing: Option<usize>,
    /// The file of the transfer that was asked for last.
    moved: Vec<u8>,
    logged_in: bool,
    controls: usize,
}

/// What a command has to do with sections.
enum Role {
    Begins(SectionKind),
    /// It belongs to the transfer that follows, where one follows.
    Prepares,
    /// It belongs wherever it stands.
    Follows,
    /// It belongs to a section of its kind, which many may share.
    Joins(SectionKind),
}

impl Parting {
    fn event(&mut self, session: &Session, i: usize, event: &SessionEvent) {
        match &event.kind {
            EventKind::DnsQuery { .. } => self.join(i, SectionKind::Address),
            EventKind::Opening(c) | EventKind::Opened(c) | EventKind::Joined(c) => match c.purpose {
                Purpose::Dns => self.join(i, SectionKind::Address),
                Purpose::Control => {
                    let again =
                        matches!(event.kind, EventKind::Opened(_)) && self.current() == Some(SectionKind::Login);
                    if !again {
                        self.begin(i, SectionKind::Login);
                    }
                    if matches!(event.kind, EventKind::Opening(_)) || !again {
                        self.logged_in = false;
                        self.controls += 1;
                    }
                }
                Purpose::Data => {}
            },
            EventKind::Closed { connection, .. }
            | EventKind::Segment { connection, segment: Segment::Fin | Segment::Rst, .. }
                if session.connection(*connection).is_some_and(|c| c.purpose == Purpose::Control) =>
            {
                self.join(i, SectionKind::End);
            }
            EventKind::Reply { code, .. } => {
                let verb = session.exchange_of(i).and_then(|x| x.verb);
                self.logged_in |= matches!(verb, Some(Verb::User | Verb::Pass)) && code.is_completion();
            }
            EventKind::Command { verb, argument, .. } => self.command(i, event.kind.verb(), verb, argument),
            _ => {}
        }
    }

    fn command(&mut self, i: usize, known: Option<Verb>, verb: &str, argument: &[u8]) {
        let role = role(known, verb, argument);
        if self.is_about_what_was_moved(&role, argument) {
            return;
        }
        match role {
            _ if self.current() == Some(SectionKind::Login) && !self.logged_in && known != Some(Verb::Quit) => {}
            Role::Follows => {
                if self.current().is_none() {
                    self.begin(i, SectionKind::Settings);
                }
            }
            Role::Prepares => self.preparing = self.preparing.or(Some(i)),
            Role::Begins(kind) => {
                let transfer = matches!(kind, SectionKind::Listing | SectionKind::Download | SectionKind::Upload);
                self.moved = argument.to_vec();
                match self.preparing.take() {
                    Some(first) if transfer => self.starts.push((first, kind)),
                    Some(first) => {
                        self.join(first, SectionKind::Settings);
                        self.starts.push((i, kind));
                    }
                    None => self.starts.push((i, kind)),
                }
                self.logged_in &= kind != SectionKind::Login;
            }
            Role::Joins(SectionKind::Settings)
                if known == Some(Verb::Pwd) && self.current() == Some(SectionKind::Directory) => {}
            Role::Joins(kind) => self.join(i, kind),
        }
    }

    /// Whether a command looks at, or sets the time of, the very file that has just been transferred: then it is the end of
    /// that, and no part of its own.
    fn is_about_what_was_moved(&self, role: &Role, argument: &[u8]) -> bool {
        let moved = matches!(self.current(), Some(SectionKind::Download | SectionKind::Upload));
        let looks = match role {
            Role::Prepares => true,
            Role::Joins(kind) => matches!(kind, SectionKind::Files | SectionKind::Settings),
            Role::Begins(_) | Role::Follows => false,
        };
        let named = |before: &[u8]| before.is_empty() || before.ends_with(b" ");
        moved
            && looks
            && self.preparing.is_none()
            && !self.moved.is_empty()
            && argument.strip_suffix(self.moved.as_slice()).is_some_and(named)
    }

    fn current(&self) -> Option<SectionKind> {
        self.starts.last().map(|&(_, kind)| kind)
    }

    fn begin(&mut self, i: usize, kind: SectionKind) {
        self.flush();
        self.starts.push((i, kind));
    }

    fn join(&mut self, i: usize, kind: SectionKind) {
        self.flush();
        if self.current() != Some(kind) {
            self.starts.push((i, kind));
        }
    }

    /// No transfer follows what seemed to prepare one.
    fn flush(&mut self) {
        if let Some(first) = self.preparing.take()
            && self.current() != Some(SectionKind::Settings)
        {
            self.starts.push((first, SectionKind::Settings));
        }
    }

    fn finish(mut self) -> Vec<(usize, SectionKind)> {
        self.flush();
        self.starts
    }
}

fn role(known: Option<Verb>, verb: &str, argument: &[u8]) -> Role {
    use SectionKind::{Directory, Download, End, Files, Listing, Login, Settings, Upload};
    let Some(known) = known else {
        return match verb {
            "ACCT" | "AUTH" | "HOST" => Role::Joins(Login),
            "PRET" => Role::Prepares,
            _ => Role::Joins(Settings),
        };
    };
    match known {
        Verb::User | Verb::Rein => Role::Begins(Login),
        Verb::Pass => Role::Joins(Login),
        Verb::Cwd | Verb::Cdup => Role::Begins(Directory),
        Verb::Retr => Role::Begins(Download),
        Verb::Stor | Verb::Stou | Verb::Appe => Role::Begins(Upload),
        Verb::List | Verb::Nlst | Verb::Mlsd => Role::Begins(Listing),
        Verb::Quit => Role::Begins(End),
        Verb::Rnfr | Verb::Rnto | Verb::Dele | Verb::Rmd | Verb::Mkd | Verb::Mfmt => Role::Joins(Files),
        Verb::Site if argument.to_ascii_uppercase().starts_with(b"CHMOD") => Role::Joins(Files),
        Verb::Type | Verb::Stru | Verb::Mode | Verb::Port | Verb::Eprt | Verb::Pasv | Verb::Epsv => Role::Prepares,
        Verb::Rest | Verb::Allo | Verb::Size | Verb::Mdtm | Verb::Mlst => Role::Prepares,
        Verb::Abor | Verb::Noop => Role::Follows,
        Verb::Stat if argument.is_empty() => Role::Follows,
        _ => Role::Joins(Settings),
    }
}

/// Gives a section its title.
fn named(session: &Session, kind: SectionKind, events: Range<usize>) -> Section {
    let exchanges = || {
        let indices = events
            .clone()
            .filter(|&i| matches!(session.events.get(i).map(|e| &e.kind), Some(EventKind::Command { .. })));
        indices.filter_map(|i| session.exchange_of(i))
    };
    let (title, detail) = match kind {
        SectionKind::Address => ("Address of the server".to_owned(), String::new()),
        SectionKind::Login => {
            let connects = session.events.get(events.clone()).unwrap_or_default().iter().any(|e| {
                matches!(&e.kind, EventKind::Opening(c) | EventKind::Opened(c) | EventKind::Joined(c)
                    if c.purpose == Purpose::Control)
            });
            (if connects { "Control connection and login" } else { "Login" }.to_owned(), String::new())
        }
        SectionKind::Listing | SectionKind::Download | SectionKind::Upload => {
            let transfer = exchanges().find_map(|x| session.transfers.get(x.transfer?));
            transfer.map_or_else(|| ("Transfer".to_owned(), String::new()), transfer_title)
        }
        SectionKind::Directory => {
            let command = exchanges().find_map(|x| session.events.get(x.command?));
            ("Change of directory".to_owned(), command.map(written).unwrap_or_default())
        }
        SectionKind::Files => {
            let commands = exchanges().filter_map(|x| session.events.get(x.command?));
            let written: Vec<String> = commands.take(4).map(written).collect();
            let count = exchanges().count() as u64;
            let detail = if count <= 3 { written.join(" + ") } else { counted(count, "command", "commands") };
            ("Changes to files".to_owned(), detail)
        }
        SectionKind::Settings => {
            let mut verbs: Vec<String> = Vec::new();
            for command in exchanges().filter_map(|x| session.events.get(x.command?)) {
                if let EventKind::Command { verb, .. } = &*masked(&command.kind)
                    && !verbs.contains(verb)
                    && verbs.len() < 8
                {
                    verbs.push(clip(&shown(verb.as_bytes()), 12));
                }
            }
            ("Questions and settings".to_owned(), verbs.join(" + "))
        }
        SectionKind::End => ("End of the session".to_owned(), String::new()),
        SectionKind::Other => ("Session".to_owned(), String::new()),
    };
    let failed = exchanges().any(|x| x.code.is_some_and(|code| code.is_error()));
    Section { kind, title, detail, failed, events }
}

fn transfer_title(t: &super::Transfer) -> (String, String) {
    let setup = t.setup.map(|v| format!("{v} + ")).unwrap_or_default();
    let name = clip(&t.name, 60);
    let from = if t.from > 0 { format!(" from byte {}", crate::words::thousands(t.from)) } else { String::new() };
    let title = match t.verb {
        Verb::Retr => format!("Download of {name}{from}"),
        Verb::Appe => format!("Upload to the end of {name}"),
        Verb::Stou => "Upload under a new name".to_owned(),
        Verb::Stor => format!("Upload of {name}{from}"),
        _ => {
            let path = name.split(' ').filter(|word| !word.starts_with('-')).collect::<Vec<_>>().join(" ");
            if path.is_empty() { "Directory listing".to_owned() } else { format!("Directory listing of {path}") }
        }
    };
    (title, format!("{setup}{}", t.verb))
}

/// `CWD pub`.
fn written(event: &SessionEvent) -> String {
    match &*masked(&event.kind) {
        EventKind::Command { verb, argument, .. } if argument.is_empty() => clip(&shown(verb.as_bytes()), 12),
        EventKind::Command { verb, argument, .. } => {
            format!("{} {}", clip(&shown(verb.as_bytes()), 12), clip(&shown(argument), 60))
        }
        _ => String::new(),
    }
}
