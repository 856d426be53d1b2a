//! What is wrong with a session: rules over the events, one file each, in the one table [`RULES`].
//!
//! A fault that follows from another is no finding of its own but its evidence: an unanswered SYN brings a 425, and that is
//! one finding. So the table is in order, what causes before what follows: a fault claims the events that belong to it, and
//! what a later rule would say about one of them is not said.
//!
//! | module | what it is |
//! |---|---|
//! | `case` | what the rules ask of a session, and what they have found |
//! | all others | a rule each, by its name |

mod active_port;
mod ascii_binary;
mod before_auth;
mod black_hole;
mod bytes_differ;
mod captured_part;
mod case;
mod clear_password;
mod closed_first;
mod control_cut;
mod control_unopened;
mod data_refused;
mod data_unanswered;
mod expected_refusal;
mod firewall_blind;
mod login_refused;
mod malformed;
mod no_data_connection;
mod no_final_reply;
mod one_direction;
mod other_address;
mod out_of_step;
mod pasv_address;
mod pasv_rewritten;
mod port_address;
mod port_third_host;
mod repeated;
mod reset;
mod retransmissions;
mod round_trips;
mod service_closing;
mod slow_login;
mod slow_phase;
mod stalls;
mod tls_alert;
mod tls_control;
mod tls_data;
mod tls_refused;
mod tls_reuse;
mod tls_truncated;
mod transfer_failed;
mod waiting;
mod zero_window;

use std::fmt;
use std::str::FromStr;

pub(crate) use case::MAX_PER_RULE;
use case::{Case, Found};

use crate::session::Session;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// It will fail elsewhere, or costs much.
    Warning,
    /// Something failed.
    Fault,
}

/// A rule: what it finds, and what can be done.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, which never changes: `data-unanswered`.
    pub name: &'static str,
    /// How much its findings matter.
    pub severity: Severity,
    /// What it finds, in a sentence.
    pub when: &'static str,
    /// The RFC or the experience behind it.
    pub source: &'static str,
    /// What a person can do.
    pub advice: &'static str,
    check: fn(&Case<'_>, &mut Found),
}

/// Something that a rule has found in a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// The event that it is about, as an index into [`Session::events`].
    pub subject: usize,
    /// All events that belong to it, the subject as well, in order; at most 64.
    pub rows: Vec<usize>,
    /// What happened, in a plain sentence that is safe to show.
    pub text: String,
}

/// All rules: causes before what follows from them.
pub const RULES: &[Rule] = &[
    control_unopened::RULE,
    tls_refused::RULE,
    tls_control::RULE,
    tls_alert::RULE,
    tls_reuse::RULE,
    tls_truncated::RULE,
    tls_data::RULE,
    login_refused::RULE,
    pasv_address::RULE,
    port_address::RULE,
    port_third_host::RULE,
    data_refused::RULE,
    no_data_connection::RULE,
    data_unanswered::RULE,
    black_hole::RULE,
    malformed::RULE,
    service_closing::RULE,
    repeated::RULE,
    no_final_reply::RULE,
    control_cut::RULE,
    bytes_differ::RULE,
    reset::RULE,
    transfer_failed::RULE,
    out_of_step::RULE,
    waiting::RULE,
    firewall_blind::RULE,
    pasv_rewritten::RULE,
    other_address::RULE,
    active_port::RULE,
    ascii_binary::RULE,
    before_auth::RULE,
    stalls::RULE,
    slow_login::RULE,
    retransmissions::RULE,
    zero_window::RULE,
    clear_password::RULE,
    closed_first::RULE,
    slow_phase::RULE,
    round_trips::RULE,
    expected_refusal::RULE,
    one_direction::RULE,
    captured_part::RULE,
];

/// What is wrong with a session: faults first, then in the order of time. At most 50 findings of each rule.
pub fn findings(session: &Session) -> Vec<Finding> {
    let case = Case::new(session);
    let mut found = Found::default();
    for rule in RULES {
        found.begin();
        (rule.check)(&case, &mut found);
    }
    let mut findings = found.findings;
    findings.sort_by_key(|f| (std::cmp::Reverse(f.rule.severity), f.subject));
    findings
}

impl Severity {
    /// `fault`, `warning`, `note`.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Fault => "fault",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no [`Severity`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are fault, warning and note")]
pub struct NoSuchSeverity;

impl FromStr for Severity {
    type Err = NoSuchSeverity;

    fn from_str(word: &str) -> Result<Severity, NoSuchSeverity> {
        let all = [Severity::Fault, Severity::Warning, Severity::Note];
        all.into_iter().find(|severity| severity.name() == word).ok_or(NoSuchSeverity)
    }
}
