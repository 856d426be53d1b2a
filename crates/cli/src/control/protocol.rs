//! What is said over the local socket: one line of JSON each way, then the connection ends.
//!
//! ```text
//! {"version":1,"do":"status"}
//! {"done":{"status":{...}}}            or {"errors":["..."]}
//! ```
//!
//! A field may be added under the same version; those who do not know it leave it aside.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The version of the questions. A server that does not speak it says so.
pub(crate) const VERSION: u32 = 1;

/// The longest question, in bytes.
pub(crate) const MAX_QUESTION: u64 = 16 * 1024;

/// What is asked.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) version: u32,
    #[serde(flatten)]
    pub(crate) question: Question,
}

/// What the server is asked for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Question {
    /// Who is on, and what moves.
    Status,
    /// Read the configuration anew.
    Reload,
    /// End sessions: by one of these.
    Kick {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
        /// Of a user: at this site alone; `-` is the one to begin with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
    },
    /// Lift bans: those of an address, or those from an account.
    Unban {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
        /// As in `Kick`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
    },
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    Done(Box<Done>),
    /// Nothing was done; why, each in one sentence.
    Errors(Vec<String>),
}

/// What was asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Done {
    Status(Box<Status>),
    Reloaded {
        /// In one sentence.
        changed: String,
    },
    Kicked {
        /// How many.
        sessions: usize,
    },
    Unbanned {
        /// Whether there was a ban.
        lifted: bool,
    },
}

/// A server at one moment. Names hold no control characters: what a client chose is escaped.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    /// Of the server's program.
    pub(crate) release: String,
    pub(crate) pid: u32,
    pub(crate) uptime_seconds: u64,
    pub(crate) listening: Vec<SocketAddr>,
    /// What somebody has to see to, though the server serves: a sentence each. Names of files are as they are.
    pub(crate) warnings: Vec<String>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) bans: Vec<Ban>,
    /// Since the server's start.
    pub(crate) connections: u64,
    pub(crate) logins: u64,
    pub(crate) failed_logins: u64,
    pub(crate) downloads: Moved,
    pub(crate) uploads: Moved,
    pub(crate) listings: Moved,
    /// By reason; those that never happened are left out.
    pub(crate) refusals: std::collections::BTreeMap<String, u64>,
    pub(crate) passive_ports_in_use: usize,
    /// None where the system gives any port.
    pub(crate) passive_ports: Option<usize>,
    pub(crate) reloads: u64,
    pub(crate) failed_reloads: u64,
    pub(crate) hook_messages_dropped: u64,
}

/// A session.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Session {
    pub(crate) number: u64,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    /// None before a login.
    pub(crate) user: Option<String>,
    /// The first name of the `[[host]]`; none: `[site]`.
    pub(crate) host: Option<String>,
    pub(crate) anonymous: bool,
    pub(crate) seconds: f64,
    /// Since the last command.
    pub(crate) silent_seconds: f64,
    pub(crate) transfer: Option<Transfer>,
}

/// A ban that stands.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ban {
    /// Of IPv6 the /64 network's first.
    pub(crate) address: Option<IpAddr>,
    /// The account that the address is banned from; none: from all.
    pub(crate) user: Option<String>,
    /// Of such an account: the first name of its `[[host]]`; none: `[site]`.
    pub(crate) host: Option<String>,
    /// Logins that failed.
    pub(crate) failures: u32,
    pub(crate) seconds_left: f64,
}

/// What moves in a session.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Transfer {
    /// `download`, `upload` or `listing`.
    pub(crate) what: String,
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    /// Since it began.
    pub(crate) bytes_per_second: f64,
}

/// The transfers of one kind.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Moved {
    pub(crate) whole: u64,
    pub(crate) broken: u64,
    pub(crate) bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_as_they_are_written() {
        let line = |question| serde_json::to_string(&Request { version: 1, question }).unwrap();
        assert_eq!(line(Question::Status), r#"{"version":1,"do":"status"}"#);
        let kick = Question::Kick { session: Some(7), user: None, address: None, host: None };
        assert_eq!(line(kick), r#"{"version":1,"do":"kick","session":7}"#);
        let kick: Request = serde_json::from_str(r#"{"version":1,"do":"kick","address":"::1","new":2}"#).unwrap();
        let address = Some("::1".parse().unwrap());
        assert_eq!(kick.question, Question::Kick { session: None, user: None, address, host: None });
        assert!(serde_json::from_str::<Request>(r#"{"version":1,"do":"explode"}"#).is_err());
    }
}
