//! What is asked of a [`ClientSession`](super::ClientSession), and what it asks of its driver.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::command::{Command, Text};
use crate::event::{ConnectionId, SessionEvent};
use crate::op::OpId;
use crate::parameters::{Protection, Representation};
use crate::path::PathArg;
use crate::reply::Reply;
use crate::secret::Secret;
use crate::time::Time;
use crate::verb::Verb;

use super::channel::Learned;
use super::error::SessionError;

/// Names one job: what one call of a user asks for, however many commands it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

impl JobId {
    /// The job that a session begins with: its [`Answer`] is the greeting.
    pub const GREETING: JobId = JobId(0);
}

/// What a session must know.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The server's address: where passive data connections go, whatever a 227 reply says. Unspecified (`0.0.0.0`, with
    /// the control port) where a proxy has resolved the server's name and nobody else knows: only the ports of
    /// [`Action::Connect`] mean something then.
    pub peer: SocketAddr,
    /// TLS comes before the server's first word (`ftps://`).
    pub implicit_tls: bool,
    /// What data connections are to be once the control connection is under TLS. In clear text they are in clear text.
    pub protection: Protection,
    /// Names are in UTF-8, where the server has that; else it is told to leave it off.
    pub utf8: bool,
    /// Commands are sent before those ahead of them are answered, wherever that is safe: a round trip less for each. A
    /// server that cannot take it is noticed, at the price of its session; it is then learned.
    pub send_ahead: bool,
    /// What an earlier session with the same server has learned.
    pub learned: Learned,
    /// How long each phase may take.
    pub limits: Limits,
    /// What the control connection is called in events; nothing where none are wanted: then none are built.
    pub events: Option<ConnectionId>,
}

/// How long each phase of a session may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the connection, or from the end of its TLS handshake, to the greeting.
    pub greeting: Duration,
    /// For the TLS handshake on the control connection.
    pub tls: Duration,
    /// For the reply to a command.
    pub reply: Duration,
    /// For a data connection to stand, and again for TLS on it.
    pub data_open: Duration,
    /// From the end of the data to the final reply.
    pub final_reply: Duration,
    /// For all of an ABOR.
    pub abort: Duration,
    /// For all of QUIT.
    pub quit: Duration,
}

/// Who opens data connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DataMode {
    /// The client does, to a port that the server names (EPSV, PASV): passes firewalls and NAT on the client's side.
    #[default]
    Passive,
    /// The server does, to a port that the client names (PORT, EPRT).
    Active,
}

/// What a job is to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Request {
    /// USER -> [`Answer::Login`]
    User(Text),
    /// PASS, whose argument has no CR, LF and NUL: they would be sent as `?` -> [`Answer::Login`]
    Pass(Secret),
    /// ACCT, as PASS -> [`Answer::Login`]
    Acct(Secret),
    /// USER, PASS, and what the first transfer needs, sent as one -> [`Answer::Login`]. The server gets the password before it has
    /// asked for it: only where it has asked for this very one before, as well protected as now. The secret is as that of
    /// `Pass`.
    Login {
        /// The name.
        user: Text,
        /// The password.
        password: Secret,
        /// The type that is to be set.
        representation: Option<Representation>,
        /// A passive transfer follows soon: the way to its data connection is asked for.
        passive: bool,
    },
    /// A command that moves no data -> [`Answer::Reply`], a 2yz. For SIZE the type matters, and is set first.
    Command(Command, Option<Representation>),
    /// Commands that move no data and do not depend on each other -> [`Answer::Replies`], one for each, whatever it says.
    /// After a [`SessionError::OutOfStep`] any of them may have been done.
    Batch(Vec<Command>, Option<Representation>),
    /// RNFR and RNTO -> [`Answer::Reply`]
    Rename(PathArg, PathArg),
    /// AUTH TLS, and TLS on the control connection -> [`Answer::Reply`], the server's 234
    StartTls,
    /// CCC, and the end of TLS on the control connection; that of data connections stays -> [`Answer::Reply`]
    StopTls,
    /// PBSZ and PROT, where TLS stands and the server does not have the [`Settings::protection`] yet. Transfers do that
    /// themselves; some servers want it before MLST as well. -> [`Answer::Protected`]
    Protect,
    /// A line as it is -> [`Answer::Reply`], whatever it says.
    Raw(Text),
    /// TYPE, where the server has not that type yet -> [`Answer::Representation`]
    Representation(Representation),
    /// FEAT, and OPTS for what it shows: names in UTF-8, the facts that a listing wants -> [`Answer::Probed`]
    Probe,
    /// A transfer -> [`Output::Started`] and [`Answer::Transferred`]
    Transfer(TransferRequest),
    /// A transfer (RETR, STOR, APPE) whose data connection is not this side's, but another server's: all for it was said. How
    /// long it may take after its 1yz reply is the driver's to say, and nobody sees its bytes. -> [`Answer::Transferred`]
    Elsewhere(Command),
    /// QUIT, and the server's end of the connection -> [`Answer::Ended`]
    Quit,
}

/// A transfer that is wanted.
#[derive(Clone, Debug)]
pub struct TransferRequest {
    /// What moves.
    pub what: Transfer,
    /// Who opens the data connection.
    pub mode: DataMode,
    /// The type to be set first; nothing for listings, whose lines are read in any type.
    pub representation: Option<Representation>,
    /// The byte to begin at (REST), if it is not the first.
    pub from: u64,
    /// Another passive transfer follows at once: the way to its data connection may be asked for behind this one's RETR.
    pub more: bool,
}

/// What a transfer moves.
#[derive(Clone, Debug)]
pub enum Transfer {
    /// RETR, LIST, NLST, MLSD, STOR, APPE, STOU.
    Command(Command),
    /// A listing for programs: MLSD where FEAT has shown it, else LIST.
    Entries(Option<PathArg>),
}

/// What a session gives out, in the order in which it is to be done.
#[must_use]
pub enum Output {
    /// Send these bytes on the control connection, before anything that follows.
    Send(Vec<u8>),
    /// Send these bytes, the last of them as urgent data: the Telnet Synch (RFC 854) of an ABOR.
    SendUrgent(Vec<u8>),
    /// Begin the operation. It runs beside the session; its outcome goes to
    /// [`handle_outcome`](super::ClientSession::handle_outcome).
    Do(OpId, Action),
    /// Let go of what the operation is doing or holds: an attempt, a listening port, a data connection. An upload's
    /// connection on which the data has not ended is reset, so that no server takes the part for the whole. It has no
    /// outcome any more.
    Release(OpId),
    /// The transfer of the job has begun: data may flow on the connection that the operation holds.
    Started(JobId, Started),
    /// The job is over.
    Done(JobId, Result<Answer, SessionError>),
    /// Something to record.
    Event(SessionEvent),
    /// Close the control connection, and let go of all that operations do or hold. Nothing follows, but the answers to
    /// jobs that are started all the same.
    Close,
    /// There is no more until input, an outcome, or this moment ([`Time::MAX`]: no moment): then call
    /// [`handle_timeout`](super::ClientSession::handle_timeout).
    Wait(Time),
}

impl fmt::Debug for Output {
    /// Without the bytes that are sent, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Send(bytes) => write!(f, "Send({} bytes)", bytes.len()),
            Output::SendUrgent(bytes) => write!(f, "SendUrgent({} bytes)", bytes.len()),
            Output::Do(op, action) => f.debug_tuple("Do").field(op).field(action).finish(),
            Output::Release(op) => f.debug_tuple("Release").field(op).finish(),
            Output::Started(job, started) => f.debug_tuple("Started").field(job).field(started).finish(),
            Output::Done(job, result) => f.debug_tuple("Done").field(job).field(result).finish(),
            Output::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Output::Close => f.write_str("Close"),
            Output::Wait(until) => f.debug_tuple("Wait").field(until).finish(),
        }
    }
}

/// An operation. Each has exactly one [`Outcome`], unless it is released before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a data connection to this address; held. -> [`Outcome::Connected`]
    Connect(SocketAddr),
    /// Listen for a data connection on the control connection's own address; held. -> [`Outcome::Listening`]
    Listen,
    /// Accept a data connection on what a [`Action::Listen`] holds, from the server's address and no other; the port is
    /// let go of, the connection held. -> [`Outcome::Connected`]
    Accept(OpId),
    /// Begin TLS on the control connection, of which this side is the client; what was to be sent before goes out first, in
    /// clear text. -> [`Outcome::Secured`]
    StartTls,
    /// End TLS on the control connection: close_notify, and all bytes up to the server's; those behind are clear text.
    /// -> [`Outcome::Secured`]
    StopTls,
    /// Begin TLS on the data connection that the operation holds, of which this side is the client whoever has opened it
    /// (RFC 4217 section 7). It is held by this operation from now on. The command that wants it was sent: a refusal may
    /// come any time, and releases it. -> [`Outcome::Secured`]
    Secure(OpId),
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The address to tell the server, or why there is none.
    Listening(Result<SocketAddr, String>),
    /// The connection stands, or why not.
    Connected(Result<(), String>),
    /// TLS stands (or has ended, where that was asked for), or why not.
    Secured(Result<(), String>),
}

/// What happens on a data connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataState {
    /// The first bytes of a download are there, in clear text: a server that sends no 1yz reply has begun.
    Begun,
    /// The data has ended in order: a download's end was read, an upload's was sent.
    Ended,
    /// The connection broke, and how.
    Broken(String),
}

/// A transfer that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Which operation holds the data connection.
    pub data: OpId,
    /// The command that has begun it: tells MLSD from LIST.
    pub verb: Verb,
    /// The server's 1yz reply, where it has sent one.
    pub mark: Option<Reply>,
}

/// What a job has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The reply of the last command.
    Reply(Reply),
    /// The final replies to the commands of a [`Request::Batch`], in their order.
    Replies(Vec<Reply>),
    /// How the login goes on.
    Login(LoginStep),
    /// The reply to TYPE, where it was sent.
    Representation(Option<Reply>),
    /// The server protects data connections as they are to be.
    Protected,
    /// FEAT was answered or refused: see [`features`](super::ClientSession::features).
    Probed,
    /// The final reply, a 2yz. Without an [`Output::Started`] before it nothing flowed, and nothing was to flow.
    Transferred(Reply),
    /// The transfer was stopped, and the session is in order.
    Aborted,
    /// The session has ended; the server's farewell, if it has sent one.
    Ended(Option<Reply>),
}

/// What the server wants next in a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginStep {
    /// Nothing: logged in.
    Done(Reply),
    /// A password (331).
    Password(Reply),
    /// An account (332).
    Account(Reply),
}
