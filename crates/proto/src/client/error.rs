//! What can go wrong in a client's session.

use std::fmt;

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
