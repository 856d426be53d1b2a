//! One session that was captured on both sides of address translation: two control connections that say the same.
//!
//! It is drawn as its client saw it. What differs beyond the translation is told in notes: the addresses, ports that were
//! announced as others, data connections that are on one side alone, as where a firewall between the two drops their SYN.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use port21_proto::event::{ConnectionId, End, EventKind};
use port21_proto::{SessionEvent, Time, Verb};

use super::sessions::{Data, Draft, host, hosts};

/// So far apart the clocks of two captures may be.
const APART: Duration = Duration::from_secs(5);

/// So many messages make the key by which sessions are compared; those with fewer are not.
const KEY: usize = 3;

/// With so many others of its key a session is compared.
const MOST_COMPARED: usize = 64;

/// What is said of a data connection that one side alone has.
const BEYOND_ALONE: &str = "seen on the other side of the address translation alone";
const DROPPED: &str = "this SYN is in the capture of one side alone: what is between the two has dropped it";

/// Makes one of each two drafts that are the same session.
pub(super) fn join(mut drafts: Vec<Draft>) -> Vec<Draft> {
    drafts.sort_by_key(|draft| draft.flow.began);
    let mut alike: HashMap<u64, Vec<usize>> = HashMap::new();
    for (i, draft) in drafts.iter().enumerate() {
        if let Some(key) = key(draft) {
            alike.entry(key).or_default().push(i);
        }
    }
    let mut twin: Vec<Option<usize>> = vec![None; drafts.len()];
    let mut taken = vec![false; drafts.len()];
    for places in alike.values() {
        for (n, &i) in places.iter().enumerate() {
            let other = places.iter().skip(n + 1).take(MOST_COMPARED).find(|&&j| {
                let pair = (drafts.get(i), drafts.get(j));
                taken.get(j) == Some(&false) && matches!(pair, (Some(a), Some(b)) if same(a, b))
            });
            if let (Some(&j), Some(false)) = (other, taken.get(i)) {
                taken.get_mut(i).into_iter().for_each(|taken| *taken = true);
                taken.get_mut(j).into_iter().for_each(|taken| *taken = true);
                twin.get_mut(i).into_iter().for_each(|twin| *twin = Some(j));
            }
        }
    }
    let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
    let mut out = Vec::with_capacity(drafts.len());
    for (i, twin) in twin.into_iter().enumerate() {
        let other = twin.and_then(|j| drafts.get_mut(j)?.take());
        match (drafts.get_mut(i).and_then(Option::take), other) {
            (Some(one), Some(other)) => out.push(joined(one, other)),
            (Some(one), None) => out.push(one),
            (None, _) => {}
        }
    }
    out
}

/// The first messages, without what translation changes.
fn key(draft: &Draft) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let mut messages = messages(draft);
    for _ in 0..KEY {
        messages.next()?.hash(&mut hasher);
    }
    Some(hasher.finish())
}

/// What was said, without the addresses and ports that a translation may rewrite.
fn messages(draft: &Draft) -> impl Iterator<Item = (String, &[u8])> {
    draft.control.events.iter().filter_map(|event| match &event.kind {
        EventKind::Command { verb, argument, .. } => {
            let announces = matches!(event.kind.verb(), Some(Verb::Port | Verb::Eprt));
            Some((verb.clone(), if announces { &[] } else { argument.as_slice() }))
        }
        EventKind::Reply { code, lines, .. } => {
            let announces = matches!(code.number(), 227 | 229);
            let line = lines.first().filter(|_| !announces);
            Some((code.to_string(), line.map(|line| line.as_ref()).unwrap_or_default()))
        }
        _ => None,
    })
}

/// Whether two control connections are one: they say the same, and TCP numbers its bytes alike, or the server listens for
/// data on the same ports at the same time.
fn same(a: &Draft, b: &Draft) -> bool {
    if hosts(&a.flow) == hosts(&b.flow) || !messages(a).zip(messages(b)).all(|(a, b)| a == b) {
        return false;
    }
    let numbered = |end: End| {
        let isn = |draft: &Draft| draft.flow.isn(draft.side(end));
        isn(a).is_some() && isn(a) == isn(b)
    };
    let ports = |draft: &Draft| -> Vec<u16> {
        let passive = draft.control.announcements.iter().filter(|a| a.listener == End::Server);
        passive.map(|a| a.port).collect()
    };
    let (of_a, of_b) = (ports(a), ports(b));
    // One behind the other two clients may well be told the same port: it is free again.
    let announced = b.control.announcements.first().map(|announcement| announcement.at);
    let overlap = announced.is_some_and(|at| at <= a.flow.last);
    let listens = !of_a.is_empty() && of_a == of_b && overlap && b.flow.began.since(a.flow.began) <= APART;
    numbered(End::Client) || numbered(End::Server) || listens
}

fn joined(one: Draft, other: Draft) -> Draft {
    // The client's own view has its own address; else the SYN passed there first.
    let inner = |draft: &Draft| is_private(host(draft.end(End::Client)));
    let (mut near, far) = if inner(&other) && !inner(&one) { (other, one) } else { (one, other) };
    let mut differs = Vec::new();
    for (end, who) in [(End::Client, "client"), (End::Server, "server")] {
        if near.end(end) != far.end(end) {
            differs.push(format!("the {who} is {}", plain(far.end(end))));
        }
    }
    let beyond = format!("seen on both sides of address translation: beyond it {}", differs.join(" and "));
    let mut notes = vec![note(near.flow.stood.unwrap_or(near.flow.began), beyond)];
    for (told, arrived) in near.control.announcements.iter().zip(&far.control.announcements) {
        if (told.address, told.port) != (arrived.address, arrived.port) {
            let address = arrived.address.map(|address| format!("{address} ")).unwrap_or_default();
            notes.push(note(
                told.at,
                format!("beyond the address translation this reads {address}port {}", arrived.port),
            ));
        }
    }
    near.notes.append(&mut notes);
    let heard_until = far.flow.last;
    let mut beyond: Vec<Option<Data>> = far.data.into_iter().map(Some).collect();
    for data in &mut near.data {
        let twin = beyond.iter_mut().find(|other| other.as_ref().is_some_and(|other| same_data(data, other)));
        match twin {
            Some(twin) => *twin = None,
            None if data.flow.stood.is_none() && data.flow.began <= heard_until => data.remark = Some(DROPPED),
            None => {}
        }
    }
    near.data.extend(beyond.into_iter().flatten().map(|data| Data { remark: Some(BEYOND_ALONE), ..data }));
    near
}

/// Whether two data connections are one: TCP numbers the bytes alike, or as many passed between the same ends' ports.
fn same_data(a: &Data, b: &Data) -> bool {
    let isn = |data: &Data, client: bool| data.flow.isn(if client { data.client } else { 1 - data.client.min(1) });
    let numbered = [true, false].into_iter().any(|end| isn(a, end).is_some() && isn(a, end) == isn(b, end));
    let carried = |data: &Data| {
        let [one, two] = data.flow.runs.map(|run| run.bytes);
        if data.client == 0 { (one, two) } else { (two, one) }
    };
    let server_port = |data: &Data| data.flow.ends.get(1 - data.client.min(1)).map(SocketAddr::port);
    numbered
        || (server_port(a) == server_port(b)
            && carried(a) == carried(b)
            && a.flow.stood.is_some() == b.flow.stood.is_some())
}

fn plain(end: SocketAddr) -> SocketAddr {
    SocketAddr::new(host(end), end.port())
}

/// Whether an address is of a network behind address translation (RFC 1918, RFC 6598, RFC 4193).
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

fn note(at: Time, text: String) -> SessionEvent {
    SessionEvent { at, kind: EventKind::Note { connection: Some(ConnectionId::CONTROL), text } }
}
