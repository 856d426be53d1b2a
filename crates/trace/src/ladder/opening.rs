//! What stands before the rows: the title, the facts under it, and what the session is in a short paragraph.

use port21_proto::event::{EventKind, Purpose};

use super::Options;
use crate::session::{Direction, Ending, Mode, SectionKind, Session, Transfer};
use crate::words::{bytes, clip, counted, duration, listed, shown};

/// So many steps are told one by one.
const STEPS: usize = 6;

pub(super) fn title(session: &Session, options: &Options) -> String {
    let title = match &options.title {
        Some(title) => clip(&shown(title.as_bytes()), 120),
        None => match session.server_name() {
            Some(name) => format!("FTP session with {}", clip(&name, 80)),
            None => "FTP session".to_owned(),
        },
    };
    match options.only {
        // The document's own heading of one port's view.
        Some(lane) => match lane.port {
            Some(port) => format!("Port_{port} Interfaces ({title})"),
            None => format!("{} Interfaces ({title})", lane.role.title()),
        },
        None => title,
    }
}

pub(super) fn date(session: &Session, options: &Options) -> String {
    match &options.date {
        Some(date) => clip(&shown(date.as_bytes()), 60),
        None if session.events().is_empty() => String::new(),
        None => session.span().start.timestamp().strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    }
}

pub(super) fn summary(session: &Session, messages: u64) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(login) = session.login() {
        facts.push(match (login.anonymous, login.accepted) {
            (_, Some(false)) => "login refused".to_owned(),
            (true, _) => "anonymous".to_owned(),
            (false, _) => format!("user {}", login.user),
        });
    }
    facts.extend(mode(session));
    let span = session.span();
    facts.push(format!("{} in {}", counted(messages, "message", "messages"), duration(span.end.since(span.start))));
    for (direction, word) in [(Direction::Down, "down"), (Direction::Up, "up")] {
        let files = session.transfers().iter().filter(|t| t.direction == direction && !t.is_listing());
        let total = files.map(|t| t.bytes).fold(0, u64::saturating_add);
        if total > 0 {
            facts.push(format!("{} {word}", bytes(total)));
        }
    }
    let refused = refused(session);
    if refused > 0 {
        facts.push(counted(refused, "command refused", "commands refused"));
    }
    facts
}

pub(super) fn paragraph(session: &Session) -> String {
    let Some(control) = session.control() else {
        return match session.events().first() {
            Some(_) => "This recording holds no control connection.".to_owned(),
            None => "Nothing was recorded.".to_owned(),
        };
    };
    let ends = match (control.client, control.server) {
        (Some(client), Some(server)) => {
            format!(" between the client {} and the server {}", client.ip().to_canonical(), server.ip().to_canonical())
        }
        (None, Some(server)) => format!(" with the server {}", server.ip().to_canonical()),
        _ => String::new(),
    };
    let named = session.server_name().filter(|n| n.parse::<std::net::IpAddr>().is_err());
    let named = named.map(|n| format!(" ({})", clip(&n, 80))).unwrap_or_default();
    let mut text = format!("An FTP session{ends}{named}. ");
    let steps = steps(session);
    let who = match session.login() {
        Some(login) if login.accepted == Some(false) => {
            text.push_str(&format!("The login as {} was refused. ", login.user));
            "The client"
        }
        Some(login) if login.anonymous => "An anonymous user",
        Some(_) => "The user",
        None => "The client",
    };
    if !steps.is_empty() {
        text.push_str(&format!("{who} {}. ", listed(&steps)));
    }
    text.push_str(&outcome(session));
    text
}

/// The modes of its transfers.
fn mode(session: &Session) -> Option<String> {
    let has = |mode| session.transfers().iter().any(|t| t.mode == Some(mode));
    match (has(Mode::Active), has(Mode::Passive)) {
        (true, true) => Some("active and passive mode".to_owned()),
        (true, false) => Some("active mode".to_owned()),
        (false, true) => Some("passive mode".to_owned()),
        (false, false) => None,
    }
}

fn refused(session: &Session) -> u64 {
    session.exchanges().iter().filter(|x| x.command.is_some() && x.code.is_some_and(|c| c.is_error())).count() as u64
}

/// What was done, in the order in which it was; of many steps those of a kind as one.
fn steps(session: &Session) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    let mut kinds = Kinds::default();
    for section in session.sections() {
        let transfer = || {
            let mut exchanges = section.events.clone().filter_map(|i| session.exchange_of(i));
            exchanges.find_map(|x| session.transfers().get(x.transfer?))
        };
        let step = match section.kind {
            SectionKind::Listing => "lists a directory".to_owned(),
            SectionKind::Directory => "changes the directory".to_owned(),
            SectionKind::Download => transfer().map_or_else(|| "downloads".to_owned(), |t| moved("downloads", t)),
            SectionKind::Upload => transfer().map_or_else(|| "uploads".to_owned(), |t| moved("uploads", t)),
            SectionKind::Files => "changes files".to_owned(),
            _ => continue,
        };
        kinds.add(section.kind, transfer());
        if steps.len() <= STEPS && steps.last() != Some(&step) {
            steps.push(step);
        }
    }
    if steps.len() > STEPS { kinds.told() } else { steps }
}

/// Steps by their kinds, in the order in which those came.
#[derive(Default)]
struct Kinds(Vec<(SectionKind, bool, u64, u64)>);

impl Kinds {
    fn add(&mut self, kind: SectionKind, transfer: Option<&Transfer>) {
        let moves = matches!(kind, SectionKind::Download | SectionKind::Upload);
        let failed = moves && transfer.is_some_and(|t| !matches!(t.ending, Ending::Done));
        let moved = transfer.filter(|_| moves).map_or(0, |t| t.bytes);
        match self.0.iter_mut().find(|(known, without, ..)| (*known, *without) == (kind, failed)) {
            Some((.., count, bytes)) => {
                *count += 1;
                *bytes = bytes.saturating_add(moved);
            }
            None => self.0.push((kind, failed, 1, moved)),
        }
    }

    fn told(self) -> Vec<String> {
        let files = |count| counted(count, "file", "files");
        let tell = |(kind, failed, count, moved): (SectionKind, bool, u64, u64)| match kind {
            SectionKind::Listing => format!("lists directories {}", counted(count, "time", "times")),
            SectionKind::Directory => format!("changes the directory {}", counted(count, "time", "times")),
            SectionKind::Files => format!("changes files {}", counted(count, "time", "times")),
            SectionKind::Download if failed => format!("does not get {} whole", files(count)),
            SectionKind::Upload if failed => format!("does not put {} whole", files(count)),
            SectionKind::Download => format!("downloads {} ({})", files(count), bytes(moved)),
            _ => format!("uploads {} ({})", files(count), bytes(moved)),
        };
        self.0.into_iter().map(tell).collect()
    }
}

fn moved(verb: &str, t: &Transfer) -> String {
    let name = clip(&t.name, 60);
    match t.ending {
        // How much went is not known, then.
        Ending::Done if t.connection.is_none() => format!("{verb} {name}"),
        Ending::Done => format!("{verb} {name} ({})", bytes(t.bytes)),
        Ending::Failed(code) => format!("fails to get {name} across ({code})"),
        Ending::Unanswered => format!("begins to move {name}"),
    }
}

fn outcome(session: &Session) -> String {
    let refused = refused(session);
    let unanswered = session.exchanges().iter().filter(|x| x.command.is_some() && x.code.is_none()).count() as u64;
    let closed = session.events().iter().any(|e| match &e.kind {
        EventKind::Closed { connection, .. } | EventKind::OpenFailed { connection, .. } => {
            session.connection(*connection).is_some_and(|c| c.purpose == Purpose::Control)
        }
        _ => false,
    });
    let steps = match (refused, unanswered) {
        (0, 0) => "Every command was done".to_owned(),
        (refused, 0) => format!("{} refused", was(refused)),
        (0, unanswered) => format!("{} not answered", was(unanswered)),
        (refused, unanswered) => format!("{} refused and {unanswered} not answered", was(refused)),
    };
    let hidden = session.events().iter().any(|e| matches!(e.kind, EventKind::Tls { .. }));
    let steps = if hidden { format!("{steps}, as far as it could be read: the rest is within TLS") } else { steps };
    let end = if closed { "." } else { "; the end of the session is not in the recording." };
    if session.exchanges().is_empty() { String::new() } else { format!("{steps}{end}") }
}

fn was(n: u64) -> String {
    format!("{} {}", counted(n, "command", "commands"), if n == 1 { "was" } else { "were" })
}
