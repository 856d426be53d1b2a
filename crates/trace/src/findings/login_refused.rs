//! The server did not let the user in.

use port21_proto::Verb;

use super::case::{Case, Found, events_of};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "login-refused",
    severity: Severity::Fault,
    when: "The server did not let the user in.",
    source: "RFC 959 section 5.4",
    advice: "Check the name and the password, and whether the server allows this account, from this address, without TLS.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    let Some(login) = case.session.login().filter(|l| l.accepted == Some(false)) else { return };
    let entering = case.session.exchanges().iter().filter(|x| matches!(x.verb, Some(Verb::User | Verb::Pass)));
    let mut refused = entering.filter(|x| x.code.is_some_and(|code| code.is_error()));
    if let Some(exchange) = refused.next_back()
        && let Some(reply) = case.final_reply(exchange)
        && let Some((code, text)) = case.reply(reply)
    {
        let text = format!("The login as {} was refused with {code}: {text}", login.user);
        found.add(&RULE, reply, events_of(exchange), text);
    }
}
