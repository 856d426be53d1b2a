//! Why something was not done.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use port21_proto::client::{Blame, Phase, SessionError};
use port21_proto::path::PathError;
use port21_proto::reply::Reply;

use crate::connect::Attempt;
use crate::connect::eyeballs::list;
use crate::tls::TlsError;

/// Why something was not done: in which phase, who erred, and the server's words where it has said any.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name could not be resolved.
    #[error("cannot resolve {host}: {why}")]
    Resolve {
        /// The name.
        host: String,
        /// Why not.
        why: String,
    },
    /// None of the server's addresses could be connected to.
    #[error("cannot connect to {host}: {}", list(.attempts))]
    Connect {
        /// The name, or the address.
        host: String,
        /// Each address that was tried, and what became of it; in the order in which they failed.
        attempts: Vec<Attempt>,
    },
    /// TLS did not come to stand, or broke. With [`Phase::Tls`] on the control connection, else on a data connection.
    #[error("{phase}: {why}")]
    Tls {
        /// What was being done.
        phase: Phase,
        /// Why, and what can be done.
        why: TlsError,
    },
    /// The server has answered, and the answer is no.
    #[error("{verb}: the server answered {reply}")]
    Refused {
        /// What was being done.
        phase: Phase,
        /// The verb of the command that was refused, without its argument; `connect` for a greeting.
        verb: &'static str,
        /// The server's words.
        reply: Box<Reply>,
    },
    /// The server ends the session (421), whatever was asked.
    #[error("the server closed the session: {reply}")]
    ServiceClosing {
        /// What was being done.
        phase: Phase,
        /// The server's words.
        reply: Box<Reply>,
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
    /// The server sends more than it may: a limit was reached. It would do so again.
    #[error("{phase}: {why}")]
    TooMuch {
        /// What was being done.
        phase: Phase,
        /// What there is too much of.
        why: String,
    },
    /// Commands were sent ahead of the replies to those before them, and the server has lost its place among them. Calls do
    /// their work again, in a new session, one command at a time; this comes out of one where that could not be done. The next
    /// call begins the session anew, and sends one at a time.
    #[error("{phase}: the server's replies are out of step with the commands: {why}")]
    OutOfStep {
        /// What was being done.
        phase: Phase,
        /// By what it was seen.
        why: String,
    },
    /// Nothing came in time.
    #[error("{phase}: {what} within {after:?}")]
    Timeout {
        /// What was being done.
        phase: Phase,
        /// What did not happen: `no reply to RETR`.
        what: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The network, or the system beneath.
    #[error("{phase}: {what}: {source}")]
    Transport {
        /// What was being done.
        phase: Phase,
        /// What failed: `connect to 192.0.2.1:21`.
        what: String,
        /// How.
        source: io::Error,
    },
    /// A local file could not be read or written.
    #[error("{}: {source}", path.display())]
    Local {
        /// Which.
        path: PathBuf,
        /// How.
        source: io::Error,
    },
    /// A name, a user name or a command that can't be sent. Nothing was.
    #[error("cannot be sent: {0}")]
    Name(#[from] PathError),
    /// The URL is none that can be used.
    #[error(transparent)]
    Url(#[from] crate::url::UrlError),
    /// The call makes no sense here or now; the text says why. Nothing was sent.
    #[error("{0}")]
    Usage(&'static str),
    /// A file has arrived whole, and is not the one that was sent. It is not kept.
    #[error("what has arrived is not what was sent: {what}")]
    Mismatch {
        /// By what that was seen: `SHA-256 is 2cf2... here and 9b71... at the server`.
        what: String,
    },
    /// The file is larger than was allowed, by [`GetOptions::max_size`](crate::GetOptions::max_size) say: it was passed over.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The most bytes that it may have.
        limit: u64,
    },
    /// A transfer of a whole file broke off and a part of it is kept, from which it can be resumed.
    #[error("{source} ({bytes} bytes are kept{})", kept.as_ref().map(|p| format!(" in {}", p.display())).unwrap_or_default())]
    Partial {
        /// How many bytes the part has.
        bytes: u64,
        /// Where it is, if it is a local file.
        kept: Option<PathBuf>,
        /// What broke it off.
        source: Box<Error>,
    },
}

impl Error {
    /// What was being done, where it was something in a session.
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Error::Resolve { .. } => Some(Phase::Resolve),
            Error::Connect { .. } => Some(Phase::Connect),
            Error::Refused { phase, .. }
            | Error::ServiceClosing { phase, .. }
            | Error::Closed { phase }
            | Error::Protocol { phase, .. }
            | Error::TooMuch { phase, .. }
            | Error::OutOfStep { phase, .. }
            | Error::Tls { phase, .. }
            | Error::Timeout { phase, .. }
            | Error::Transport { phase, .. } => Some(*phase),
            Error::Partial { source, .. } => source.phase(),
            Error::Mismatch { .. } => Some(Phase::FinalReply),
            Error::Local { .. } | Error::Name(_) | Error::Url(_) | Error::Usage(_) | Error::TooLarge { .. } => None,
        }
    }

    /// The server's words, where it has said why.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Error::Refused { reply, .. } | Error::ServiceClosing { reply, .. } => Some(reply),
            Error::Partial { source, .. } => source.reply(),
            _ => None,
        }
    }

    /// Who erred.
    pub fn blame(&self) -> Blame {
        match self {
            Error::Refused { .. } | Error::ServiceClosing { .. } | Error::Closed { .. } => Blame::Peer,
            Error::Protocol { .. } | Error::TooMuch { .. } | Error::OutOfStep { .. } => Blame::Peer,
            Error::Connect { attempts, .. }
                if attempts.iter().all(|attempt| attempt.error.kind() == io::ErrorKind::TimedOut) =>
            {
                Blame::Timeout
            }
            Error::Resolve { .. } | Error::Connect { .. } | Error::Transport { .. } | Error::Mismatch { .. } => {
                Blame::Transport
            }
            Error::Tls { why: TlsError::NoAuthorities { .. } | TlsError::Name { .. }, .. } => Blame::Caller,
            Error::Tls { .. } => Blame::Peer,
            Error::Timeout { .. } => Blame::Timeout,
            Error::Local { .. } | Error::Name(_) | Error::Url(_) | Error::Usage(_) | Error::TooLarge { .. } => {
                Blame::Caller
            }
            Error::Partial { source, .. } => source.blame(),
        }
    }
}

impl From<SessionError> for Error {
    fn from(error: SessionError) -> Error {
        match error {
            SessionError::Refused { phase, verb, reply } => Error::Refused { phase, verb, reply: Box::new(reply) },
            SessionError::ServiceClosing { phase, reply } => Error::ServiceClosing { phase, reply: Box::new(reply) },
            SessionError::Closed { phase } => Error::Closed { phase },
            SessionError::Protocol { phase, why } => Error::Protocol { phase, why },
            SessionError::TooMuch { phase, why } => Error::TooMuch { phase, why },
            SessionError::OutOfStep { phase, why } => Error::OutOfStep { phase, why },
            SessionError::Timeout { phase, what, after } => Error::Timeout { phase, what, after },
            SessionError::Tls { phase, why } => Error::Tls { phase, why: TlsError::Other(why) },
            SessionError::Data { phase, why } => {
                Error::Transport { phase, what: "the data connection".to_owned(), source: io::Error::other(why) }
            }
            other => Error::Protocol { phase: Phase::Command, why: other.to_string() },
        }
    }
}

/// For [`AsyncRead`](tokio::io::AsyncRead) and [`AsyncWrite`](tokio::io::AsyncWrite): the error is inside, and
/// [`io::Error::downcast`] takes it out.
impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match &error {
            Error::Timeout { .. } => io::ErrorKind::TimedOut,
            Error::Closed { .. } | Error::ServiceClosing { .. } => io::ErrorKind::ConnectionAborted,
            Error::Transport { source, .. } => source.kind(),
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
