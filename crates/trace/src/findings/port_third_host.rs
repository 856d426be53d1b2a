//! PORT or EPRT names a host other than the client, and the server refuses.

use port21_proto::Verb;
use port21_proto::event::End;

use super::case::{Case, Found, events_of};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "port-third-host",
    severity: Severity::Fault,
    when: "PORT or EPRT names a host other than the client, and the server refuses.",
    source: "RFC 2577 section 3",
    advice: "Transfers between two servers need a server that allows them; elsewhere this is an attack (FTP bounce) or a client that does not know its address.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for exchange in case.session.exchanges().iter().filter(|x| matches!(x.verb, Some(Verb::Port | Verb::Eprt))) {
        let (Some(told), Some(reply)) = (case.announced(exchange), case.final_reply(exchange)) else { continue };
        let Some(client) = case.address(exchange.connection, End::Client) else { continue };
        if told.ip().to_canonical() != client && exchange.code.is_some_and(|code| code.is_error()) {
            let text = format!(
                "The client asks for data to go to {}, and the server refuses: the client is {client}.",
                told.ip()
            );
            found.add(&RULE, reply, events_of(exchange), text);
        }
    }
}
