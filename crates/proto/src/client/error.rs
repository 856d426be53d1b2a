//! What can go wrong in a client's session.

use std::fmt;
use std::time::Duration;

use crate::reply::Reply;

/// Why a job of a session was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The server has answered, and the answer is no.
    #[error("{verb}: the server answered {reply}")]
    Refused {
        /// What was being done.
        phase: Phase,
        /// The verb that was refused, without its argument; `greeting` for the greeting.
        verb: &'static str,
        /// The server's words.
        reply: Reply,
    },
    /// The server ends the session (421), whatever was asked.
    #[error("the server closed the session: {reply}")]
    ServiceClosing {
        /// What was being done.
        phase: Phase,
        /// The server's words.
        reply: Reply,
    },
    /// The control connection ended.
    #[error("{phase}: the server closed the control connection")]
    Closed {
        /// What was being done.
        phase: Phase,
    },
    /// The server does not keep to the protocol.
    #[error("{phase}: {why}")]
    Protocol {
        /// What was being done.
        phase: Phase,
        /// What is wrong.
        why: String,
    },
    /// The server sends more than it may: a reply, a line or a chatter that does not end. It would do so again.
    #[error("{phase}: {why}")]
    TooMuch {
        /// What was being done.
        phase: Phase,
        /// What there is too much of.
        why: String,
    },
    /// Nothing came in time.
    #[error("{phase}: {what} within {after:?}")]
    Timeout {
        /// What was being done.
        phase: Phase,
        /// What did not happen.
        what: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The data connection did not come to stand, or broke.
    #[error("{phase}: {why}")]
    Data {
        /// [`Phase::DataOpen`] or [`Phase::Transfer`].
        phase: Phase,
        /// How.
        why: String,
    },
    /// TLS did not come to stand, or broke.
    #[error("{phase}: {why}")]
    Tls {
        /// [`Phase::Tls`] on the control connection, [`Phase::DataOpen`] on a data connection.
        phase: Phase,
        /// How.
        why: String,
    },
    /// Commands were sent ahead, and the replies are not theirs in their order: the server cannot take several at once. The
    /// session has ended; in another one that goes by what this one has
    /// [learned](super::ClientSession::learned) the work can be done again, one command at a time.
    #[error("{phase}: the server's replies are out of step with the commands: {why}")]
    OutOfStep {
        /// What was being done.
        phase: Phase,
        /// By what it was seen.
        why: String,
    },
    /// A job was asked for while another one runs.
    #[error("the session is busy with another call")]
    Busy,
}

/// How far a session had come when something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The server's name was being resolved.
    Resolve,
    /// The control connection was being opened.
    Connect,
    /// The server had to speak first.
    Greeting,
    /// TLS was being set up.
    Tls,
    /// USER, PASS and ACCT.
    Login,
    /// A command that moves no data.
    Command,
    /// A data connection was being arranged and opened.
    DataOpen,
    /// Bytes were flowing.
    Transfer,
    /// All bytes had flowed, and the server had yet to say how it went.
    FinalReply,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Resolve => "name look-up",
            Phase::Connect => "connecting",
            Phase::Greeting => "greeting",
            Phase::Tls => "TLS",
            Phase::Login => "login",
            Phase::Command => "command",
            Phase::DataOpen => "opening the data connection",
            Phase::Transfer => "transfer",
            Phase::FinalReply => "final reply",
        })
    }
}

/// Who erred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The server refused, or does not keep to the protocol.
    Peer,
    /// The network, or the system beneath.
    Transport,
    /// Nothing came in time; who of the two above is at fault cannot be told.
    Timeout,
    /// Whoever called: a name that cannot be sent, a call out of order, a local file.
    Caller,
}
