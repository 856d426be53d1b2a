//! `status`, `reload`, `kick` and `unban`: asking a running server, over its local socket.
//!
//! | module | what it is |
//! |---|---|
//! | [`protocol`] | what is said over the socket, by both ends |
//! | [`table`] | `status` for people |
//!
//! The server's end is `serve/socket.rs`.

pub(crate) mod protocol;
mod table;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};

use self::protocol::{Answer, Done, Question, Request};
use crate::args::serve::{KickArgs, ReloadArgs, SocketArgs, StatusArgs, UnbanArgs};
use crate::exit::{Exit, Fault};

/// How long the server may take: a reload looks up names.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most bytes of an answer: that of a server with some hundred thousand sessions.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;

/// Shows who is on.
pub(crate) fn status(args: &StatusArgs) -> anyhow::Result<Exit> {
    let done = ask(&args.at, Question::Status)?;
    let Done::Status(status) = done else { bail!(UNEXPECTED) };
    let text = if args.json { serde_json::to_string(&status)? + "\n" } else { table::show(&status) };
    print(&text)
}

/// Lets the server read its configuration anew.
pub(crate) fn reload(args: &ReloadArgs) -> anyhow::Result<Exit> {
    let Done::Reloaded { changed } = ask(&args.at, Question::Reload)? else { bail!(UNEXPECTED) };
    print(&format!("Reloaded: {changed}.\n"))
}

/// Ends sessions.
pub(crate) fn kick(args: &KickArgs) -> anyhow::Result<Exit> {
    let (whom, host) = (args.whom.as_str(), args.host.clone());
    let question = match (args.user || host.is_some(), whom.parse::<u64>(), whom.parse::<IpAddr>()) {
        (false, Ok(session), _) => Question::Kick { session: Some(session), user: None, address: None, host },
        (false, _, Ok(address)) => Question::Kick { session: None, user: None, address: Some(address), host },
        _ => Question::Kick { session: None, user: Some(whom.to_owned()), address: None, host },
    };
    let Done::Kicked { sessions } = ask(&args.at, question)? else { bail!(UNEXPECTED) };
    match sessions {
        0 => bail!(Fault::new(Exit::Refused, format!("nobody was ended: `port21 status` shows no session of {whom}"))),
        1 => print("Ended 1 session.\n"),
        n => print(&format!("Ended {n} sessions.\n")),
    }
}

/// Lifts bans.
pub(crate) fn unban(args: &UnbanArgs) -> anyhow::Result<Exit> {
    let (whom, host) = (args.whom.as_str(), args.host.clone());
    let question = match whom.parse::<IpAddr>() {
        Ok(address) if !args.user && host.is_none() => Question::Unban { user: None, address: Some(address), host },
        _ => Question::Unban { user: Some(whom.to_owned()), address: None, host },
    };
    let Done::Unbanned { lifted } = ask(&args.at, question)? else { bail!(UNEXPECTED) };
    if !lifted {
        bail!(Fault::new(Exit::Refused, format!("no ban was lifted: `port21 status` shows none of {whom}")));
    }
    print(&format!("{whom} is not banned any more.\n"))
}

const UNEXPECTED: &str = "the server has answered something else than was asked: is it of another version?";

fn ask(args: &SocketArgs, question: Question) -> anyhow::Result<Done> {
    let path = path(args);
    let stream = UnixStream::connect(&path).map_err(|error| explain(&path, &error))?;
    stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)))?;
    let mut line = serde_json::to_vec(&Request { version: protocol::VERSION, question })?;
    line.push(b'\n');
    let lost = || format!("the server at {} does not answer", path.display());
    (&stream).write_all(&line).with_context(lost)?;
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_ANSWER)).read_line(&mut answer).with_context(lost)?;
    if answer.is_empty() {
        bail!(lost());
    }
    match serde_json::from_str::<Answer>(&answer)
        .context("the server's answer cannot be read: is it of another version?")?
    {
        Answer::Done(done) => Ok(*done),
        Answer::Errors(errors) => bail!(Fault::each(Exit::Refused, errors)),
    }
}

/// The socket that is named, or the first of the usual ones that is there.
fn path(args: &SocketArgs) -> PathBuf {
    let system = PathBuf::from("/run/port21/control.sock");
    if let Some(path) = &args.socket {
        return path.clone();
    }
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("port21/control.sock"));
    own.filter(|own| own.exists() && !system.exists()).unwrap_or(system)
}

fn explain(path: &Path, error: &std::io::Error) -> Fault {
    let what = match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
            "no server listens there: is it running, and does it have this `socket` in [control] (or --socket)?"
        }
        std::io::ErrorKind::PermissionDenied => "only the user that the server runs as, and root, may ask it",
        _ => "cannot ask the server",
    };
    Fault::new(Exit::Connect, format!("{}: {what} ({error})", path.display()))
}

fn print(text: &str) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")?;
    Ok(Exit::Done)
}
