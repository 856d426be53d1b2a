//! The address in the reply to PASV was replaced, by the client or by NAT, and it worked.

use port21_proto::Verb;

use super::case::{Case, Found};
use super::{Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "pasv-rewritten",
    severity: Severity::Warning,
    when: "The address in the reply to PASV was replaced, by the client or by NAT, and it worked.",
    source: "RFC 2428 section 4; experience",
    advice: "Tell the server its outer address: clients that obey the reply fail, and EPSV needs none.",
    check,
};

fn check(case: &Case<'_>, found: &mut Found) {
    for t in case.session.transfers().iter().filter(|t| t.setup == Some(Verb::Pasv) && case.has_data(t)) {
        let used = t.connection.and_then(|id| case.session.connection(id)?.server).map(|a| a.ip().to_canonical());
        let Some((told, used)) = t.announced.map(|a| a.ip().to_canonical()).zip(used) else { continue };
        let Some(setup) = t.announcement.and_then(|a| case.session.exchanges().get(a)) else { continue };
        if let Some(reply) = case.final_reply(setup).filter(|_| told != used) {
            let text = format!("PASV names {told}, and the data connection goes to {used}.");
            found.add(&RULE, reply, case.evidence(t), text);
        }
    }
}
