//! Which rows of a ladder are shown.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use port21_proto::Verb;
use port21_proto::event::{ConnectionId, EventKind, Purpose};
use port21_trace::ladder::{Ladder, Lane, LaneId, LaneName, Row, Shape};
use port21_trace::session::Session;

/// What rows are to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Filter {
    /// Nothing: all are shown.
    #[default]
    All,
    /// A finding that names them.
    Findings,
    /// A connection of this kind.
    Of(Purpose),
    /// A command of this verb, its replies, its data.
    Verb(Verb),
    /// This lane.
    Lane(LaneName),
    /// A lane of this port of this host.
    Address(SocketAddr),
    /// A lane of this host.
    Host(IpAddr),
}

/// A text that is no filter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoFilter;

impl fmt::Display for NoFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no filter: there are findings, control, data, a verb (RETR), a lane (server:21), an address (10.0.0.1:21)",
        )
    }
}

impl FromStr for Filter {
    type Err = NoFilter;

    fn from_str(text: &str) -> Result<Filter, NoFilter> {
        let text = text.trim();
        let verb = Verb::from_name(text.to_ascii_uppercase().as_bytes()).map(Filter::Verb);
        let lane = text.parse().ok().map(Filter::Lane);
        // USER is a verb, and user a lane.
        let is_large = text.chars().any(|c| c.is_ascii_uppercase());
        let word = if is_large { verb.or(lane) } else { lane.or(verb) };
        match text {
            "" | "all" => Ok(Filter::All),
            "findings" => Ok(Filter::Findings),
            "control" => Ok(Filter::Of(Purpose::Control)),
            "data" => Ok(Filter::Of(Purpose::Data)),
            text => {
                let address = || text.parse().ok().map(Filter::Address);
                let host = || text.parse().ok().map(Filter::Host);
                word.or_else(address).or_else(host).ok_or(NoFilter)
            }
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::All => f.write_str("all"),
            Filter::Findings => f.write_str("findings"),
            Filter::Of(Purpose::Control) => f.write_str("control"),
            Filter::Of(Purpose::Data) => f.write_str("data"),
            Filter::Of(Purpose::Dns) => f.write_str("dns"),
            Filter::Verb(verb) => write!(f, "{verb}"),
            Filter::Lane(lane) => write!(f, "{lane}"),
            Filter::Address(address) => write!(f, "{address}"),
            Filter::Host(host) => write!(f, "{host}"),
        }
    }
}

impl Filter {
    /// Which rows are shown, for each row of the ladder.
    pub(super) fn shown(self, session: &Session, ladder: &Ladder) -> Vec<bool> {
        let rows = ladder.rows.iter();
        match self {
            Filter::All => vec![true; ladder.rows.len()],
            Filter::Findings => {
                let mut named: Vec<usize> =
                    ladder.findings.iter().flat_map(|marked| marked.finding.rows.iter().copied()).collect();
                named.sort_unstable();
                let mut marked: Vec<usize> = ladder.findings.iter().filter_map(|marked| marked.row).collect();
                marked.sort_unstable();
                let is_named = |(n, row): (usize, &Row)| {
                    marked.binary_search(&n).is_ok()
                        || row.event.is_some_and(|event| named.binary_search(&event).is_ok())
                };
                rows.enumerate().map(is_named).collect()
            }
            Filter::Of(purpose) => rows.map(|row| self::purpose(session, row) == Some(purpose)).collect(),
            Filter::Verb(verb) => rows.map(|row| is_of(session, row, verb)).collect(),
            Filter::Lane(name) => rows.map(|row| touches(ladder, row, |lane| name.means(lane))).collect(),
            Filter::Address(at) => rows
                .map(|row| {
                    let means = |lane: &Lane| lane.port == Some(at.port()) && is_at(lane, at.ip());
                    touches(ladder, row, means)
                })
                .collect(),
            Filter::Host(host) => rows.map(|row| touches(ladder, row, |lane| is_at(lane, host))).collect(),
        }
    }
}

fn connection(session: &Session, row: &Row) -> Option<ConnectionId> {
    session.events().get(row.event?)?.kind.connection()
}

/// What a row's connection is for. What was said is said on a control connection, even where nothing tells of that.
fn purpose(session: &Session, row: &Row) -> Option<Purpose> {
    let event = session.events().get(row.event?)?;
    let said = matches!(event.kind, EventKind::Command { .. } | EventKind::Reply { .. } | EventKind::Malformed { .. });
    let known = event.kind.connection().and_then(|id| session.connection(id)).map(|c| c.purpose);
    known.or(said.then_some(Purpose::Control))
}

/// Whether a row belongs to a command of this verb, or to the data that it asked for.
fn is_of(session: &Session, row: &Row, verb: Verb) -> bool {
    let said = row.event.and_then(|event| session.exchange_of(event)).and_then(|exchange| exchange.verb);
    let moved = || connection(session, row).and_then(|id| session.transfer_of(id)).map(|transfer| transfer.verb);
    said == Some(verb) || moved() == Some(verb)
}

fn touches(ladder: &Ladder, row: &Row, means: impl Fn(&Lane) -> bool) -> bool {
    let is = |lane: LaneId| ladder.lanes.get(lane.0).is_some_and(&means);
    match row.shape {
        Shape::Arrow { from, to } => is(from) || is(to),
        Shape::At(lane) => is(lane),
        Shape::Across => false,
    }
}

fn is_at(lane: &Lane, host: IpAddr) -> bool {
    lane.address.is_some_and(|address| address.to_canonical() == host.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_say_what_they_are() {
        for text in [
            "all",
            "findings",
            "control",
            "data",
            "RETR",
            "USER",
            "user",
            "server:21",
            "10.0.0.1:21",
            "[::1]:21",
            "::1",
        ] {
            assert_eq!(text.parse::<Filter>().unwrap().to_string(), text);
        }
        assert_eq!("retr".parse(), Ok(Filter::Verb(Verb::Retr)));
        assert_eq!(" ".parse(), Ok(Filter::All));
        assert_eq!("nothing".parse::<Filter>(), Err(NoFilter));
    }
}
