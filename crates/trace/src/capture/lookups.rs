//! Which look-ups of names belong to a session.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use port21_proto::event::{Connection, ConnectionId, End, EventKind, Purpose};
use port21_proto::{SessionEvent, Time};

use super::dns::Lookup;
use super::sessions::host;
use crate::words::{counted, shown};

/// So long before a session a look-up may be that led to it: resolvers keep answers.
const LOOKED_UP: Duration = Duration::from_secs(600);

/// So many names are told of look-ups that are not drawn.
const OTHERS: usize = 3;

/// The look-ups that led to a session between these hosts, and those of the server's for its client's name. `lookups` are in
/// the order of time; `led` is told which of them it was.
pub(super) fn of(
    [client, server]: [IpAddr; 2],
    began: Time,
    ended: Time,
    lookups: &[Lookup],
    led: &mut [bool],
) -> Vec<Lookup> {
    let from = Time::from_unix_nanos(
        began.unix_nanos().saturating_sub(u64::try_from(LOOKED_UP.as_nanos()).unwrap_or(u64::MAX)),
    );
    let start = lookups.partition_point(|l| l.at < from);
    let end = lookups.partition_point(|l| l.at <= ended);
    let near = lookups.get(start..end).unwrap_or_default();
    let address = server.to_string();
    // The name whose address the server has: the last that was asked for before the session began.
    let name = near.iter().rev().find(|l| l.at <= began && host(l.client) == client && l.gives(&address));
    let reverse = [client, server].map(reverse_name);
    let mut found = Vec::new();
    for (lookup, led) in near.iter().zip(led.iter_mut().skip(start)) {
        let to_server =
            host(lookup.client) == client && lookup.at <= began && name.is_some_and(|n| n.name == lookup.name);
        let of_client = host(lookup.client) == server && lookup.at >= began;
        let by_address = of_client && lookup.is_reverse() && reverse.contains(&lookup.name.to_ascii_lowercase());
        if to_server || by_address {
            *led = true;
            found.push(lookup.clone());
        }
    }
    found
}

/// Look-ups as events: each two ends are a connection.
pub(super) fn tell(
    lookups: impl IntoIterator<Item = Lookup>,
    next: &mut dyn FnMut() -> ConnectionId,
    events: &mut Vec<SessionEvent>,
) {
    let mut ids: HashMap<(SocketAddr, SocketAddr), ConnectionId> = HashMap::new();
    for lookup in lookups {
        let (at, client, server) = (lookup.at, lookup.client, lookup.server);
        let id = *ids.entry((client, server)).or_insert_with(|| {
            let id = next();
            let (client, server) = (Some(client), Some(server));
            let dns = Connection { id, purpose: Purpose::Dns, opener: End::Client, client, server };
            events.push(SessionEvent { at, kind: EventKind::Opened(dns) });
            id
        });
        events.push(SessionEvent { at, kind: lookup.event(id) });
    }
}

/// What is said of look-ups that a drawing has no place for.
pub(super) fn of_others(lookups: &[Lookup]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for lookup in lookups {
        if names.len() <= OTHERS && !names.contains(&lookup.name.as_str()) {
            names.push(&lookup.name);
        }
    }
    let more = if names.len() > OTHERS { ", …" } else { "" };
    let told = names.iter().take(OTHERS).map(|name| shown(name.as_bytes())).collect::<Vec<_>>().join(", ");
    let messages = counted(lookups.len() as u64, "message", "messages");
    format!("the capture has look-ups of other names as well, which are not drawn: {told}{more} ({messages})")
}

/// The name under which the name of an address is looked up (RFC 1035 section 3.5, RFC 3596 section 2.5).
fn reverse_name(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|b| [b & 15, b >> 4]);
            let labels: Vec<String> = nibbles.map(|n| format!("{n:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
    }
}
