//! The one table of exit codes, and the errors that carry one.

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use port21_client::{Blame, Error, Phase};
use port21_proto::text::Shown;

/// How a command ended. Scripts depend on the numbers: they never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything that was asked for happened.
    Done = 0,
    /// Something on this machine failed: a file, a permission, a full disk.
    Local = 1,
    /// The command line or the configuration says what cannot be done.
    Usage = 2,
    /// The name could not be resolved, or no connection came to stand.
    Connect = 3,
    /// The server did not let the user in.
    Login = 4,
    /// The server refused what was asked of it, or speaks no FTP.
    Refused = 5,
    /// A transfer ended early: a part of the bytes was transferred.
    Interrupted = 6,
    /// TLS did not come to stand, the server is not believed, or a check of the result failed.
    Verification = 7,
    /// A session has a finding at or above `--fail-on`.
    Findings = 8,
}

impl Exit {
    /// All codes with what they mean, for the manual.
    pub(crate) const TABLE: &'static [(Exit, &'static str)] = &[
        (Exit::Done, "done"),
        (Exit::Local, "local error"),
        (Exit::Usage, "usage"),
        (Exit::Connect, "cannot resolve or connect"),
        (Exit::Login, "login refused"),
        (Exit::Refused, "the server refused"),
        (Exit::Interrupted, "interrupted, part transferred"),
        (Exit::Verification, "TLS or verification failed"),
        (Exit::Findings, "findings at or above --fail-on"),
    ];

    /// The code of an error: that of the first error in its chain which has one, else [`Exit::Local`].
    pub(crate) fn of(error: &anyhow::Error) -> Exit {
        let known = |cause: &(dyn std::error::Error + 'static)| {
            let fault = cause.downcast_ref::<Fault>().map(|fault| fault.exit);
            fault.or_else(|| cause.downcast_ref::<port21_client::Error>().map(Exit::of_client))
        };
        error.chain().find_map(known).unwrap_or(Exit::Local)
    }

    /// The code of a client's error.
    pub(crate) fn of_client(error: &Error) -> Exit {
        match error {
            Error::Local { .. } => Exit::Local,
            Error::Name(_) | Error::Url(_) | Error::Usage(_) | Error::TooLarge { .. } => Exit::Usage,
            Error::Partial { .. } => Exit::Interrupted,
            Error::Tls { .. } | Error::Mismatch { .. } => Exit::Verification,
            // Whatever it was doing: it is not interrupted, and trying again changes nothing.
            Error::TooMuch { .. } => Exit::Refused,
            error => match (error.phase(), error.blame()) {
                (Some(Phase::Resolve | Phase::Connect | Phase::Greeting), _) => Exit::Connect,
                (Some(Phase::Tls), _) => Exit::Verification,
                (Some(Phase::Login), Blame::Peer) if error.reply().is_some() => Exit::Login,
                // Some servers say 150 before they look whether there is such a file.
                (Some(Phase::Transfer | Phase::FinalReply), _) if is_unavailable(error) => Exit::Refused,
                (Some(Phase::Transfer | Phase::FinalReply), _) => Exit::Interrupted,
                _ if matches!(error, Error::Refused { .. } | Error::Protocol { .. }) => Exit::Refused,
                // The connection did not stand, or no data connection came to.
                _ => Exit::Connect,
            },
        }
    }
}

fn is_unavailable(error: &Error) -> bool {
    error.reply().is_some_and(|reply| matches!(reply.code().number(), 550 | 553))
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An error in one sentence, or several errors with one each, and the exit code that they lead to.
#[derive(Debug)]
pub(crate) struct Fault {
    exit: Exit,
    texts: Vec<String>,
}

impl Fault {
    /// An error of this kind.
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Fault {
        Fault::each(exit, vec![text.into()])
    }

    /// Several errors, each to be told on a line of its own.
    pub(crate) fn each(exit: Exit, texts: Vec<String>) -> Fault {
        Fault { exit, texts }
    }

    /// What is wrong, each in one sentence.
    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// What was asked for cannot be done, and trying again changes nothing.
    pub(crate) fn usage(text: impl Into<String>) -> Fault {
        Fault::new(Exit::Usage, text)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts.join("; "))
    }
}

impl std::error::Error for Fault {}

/// Tells the user what went wrong, each fault in one line on standard error, and gives the exit code. A reader of our output who
/// has gone (`port21 ls ... | head`) is told nothing.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    let gone = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    };
    let exit = Exit::of(error);
    if exit != Exit::Local || !error.chain().any(gone) {
        sentences(error).iter().for_each(|line| tell(line));
    }
    exit
}

/// Tells the user something in a line on standard error. Where nobody reads that any more there is nobody to be told.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr().lock(), "port21: {line}");
}

/// An error of the client in one sentence, and what can be done where that is not plain.
pub(crate) fn client_sentence(error: &Error) -> String {
    let mut out = chain_sentence(error);
    if let Error::Refused { verb: "REST", .. } = error {
        out.push_str(" (the server cannot begin in the midst of a file: leave -c out to transfer all of it)");
    }
    out
}

/// What went wrong, in one sentence for each fault.
pub(crate) fn sentences(error: &anyhow::Error) -> Vec<String> {
    match error.downcast_ref::<Fault>() {
        Some(fault) if fault.texts().len() > 1 => {
            fault.texts().iter().map(|text| Shown(text.as_bytes()).to_string()).collect()
        }
        _ => vec![sentence(error)],
    }
}

/// The chain of causes as one sentence. A cause that its effect already quotes is not said twice. Names that a server
/// chose may be in it: what could steer a terminal is shown, not obeyed.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    chain_sentence(error.as_ref())
}

fn chain_sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let mut out = String::new();
    for cause in std::iter::successors(Some(error), |error| error.source()) {
        let text = cause.to_string();
        if out.is_empty() {
            out = text;
        } else if !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
    }
    // What the library calls so has a flag.
    let out = out.replace("see the limit max_entries", "--max-entries N takes more");
    Shown(out.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use port21_client::Reply;
    use port21_proto::Code;

    use super::*;

    #[test]
    fn the_code_is_found_below_any_context() {
        let error = Err::<(), _>(Fault::new(Exit::Login, "login refused")).context("ftp://h/").unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Login);
        assert_eq!(sentence(&error), "ftp://h/: login refused");
        assert_eq!(Exit::of(&anyhow::anyhow!("disk full")), Exit::Local);
        assert_eq!(sentence(&anyhow::anyhow!("\x1b[2J")), "\\x1b[2J");
    }

    #[test]
    fn errors_of_the_client_have_the_code_of_their_phase() {
        let reply = |code| Box::new(Reply::new(Code::new(code).unwrap(), &b"no"[..]));
        let refused = |phase, code| Error::Refused { phase, verb: "X", reply: reply(code) };
        let closed = |phase| Error::Closed { phase };
        let table = [
            (Error::Resolve { host: "h".into(), why: "NXDOMAIN".into() }, Exit::Connect),
            (refused(Phase::Greeting, 421), Exit::Connect),
            (refused(Phase::Tls, 502), Exit::Verification),
            (Error::Tls { phase: Phase::DataOpen, why: port21_client::TlsError::NotTls }, Exit::Verification),
            (refused(Phase::Login, 530), Exit::Login),
            (closed(Phase::Login), Exit::Connect),
            (refused(Phase::Command, 550), Exit::Refused),
            (refused(Phase::DataOpen, 550), Exit::Refused),
            (refused(Phase::FinalReply, 426), Exit::Interrupted),
            (refused(Phase::FinalReply, 550), Exit::Refused),
            (closed(Phase::Transfer), Exit::Interrupted),
            (closed(Phase::Command), Exit::Connect),
            (Error::Protocol { phase: Phase::Command, why: "x".into() }, Exit::Refused),
            (Error::TooMuch { phase: Phase::Greeting, why: "x".into() }, Exit::Refused),
            (Error::TooMuch { phase: Phase::FinalReply, why: "x".into() }, Exit::Refused),
            (Error::Usage("x"), Exit::Usage),
            (Error::Partial { bytes: 1, kept: None, source: Box::new(closed(Phase::Command)) }, Exit::Interrupted),
        ];
        for (error, exit) in table {
            assert_eq!(Exit::of_client(&error), exit, "{error}");
            assert_eq!(Exit::of(&anyhow::Error::new(error)), exit);
        }
    }

    #[test]
    fn the_table_is_in_order_and_whole() {
        let codes: Vec<u8> = Exit::TABLE.iter().map(|(exit, _)| *exit as u8).collect();
        assert_eq!(codes, (0..=8).collect::<Vec<u8>>());
    }
}
