//! What the server and the helper say to each other: JSON objects, each on a line of its own.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use super::deeds::{Ended, Stamp};

/// The longest line. A file of [`deeds::MAX_FILE`](super::deeds::MAX_FILE) fits, with some of it escaped.
const MAX_LINE: u64 = 32 * 1024 * 1024;

/// From the server. There may be several under way; each has a number.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) task: Task,
}

/// What is asked for. It has no `Debug`: the input of programs may hold passwords.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Task {
    Read(PathBuf),
    Look(PathBuf),
    Resolve(String),
    Run {
        program: Vec<String>,
        input: String,
        answers: bool,
    },
    Adopt,
    /// Nobody waits for the task of this number any more. It has no answer.
    Cancel(u64),
}

/// From the helper, in whatever order things are done.
#[derive(Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) id: u64,
    pub(super) result: Result<Done, Failure>,
}

/// What came of a task.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Done {
    Text(String),
    Seen(Stamp),
    Addresses(Vec<IpAddr>),
    Ended(Ended),
    Adopted,
}

/// An [`io::Error`] on its way.
#[derive(Serialize, Deserialize)]
pub(super) struct Failure {
    /// The system's number for it, where it has one.
    number: Option<i32>,
    text: String,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure { number: error.raw_os_error(), text: error.to_string() }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> io::Error {
        failure.number.map_or_else(|| io::Error::other(failure.text), io::Error::from_raw_os_error)
    }
}

/// The other end does not keep to what is written here.
pub(super) fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the server and its helper do not understand each other")
}

/// A message and a line end.
pub(super) fn write(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    if line.len() as u64 >= MAX_LINE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    line.push(b'\n');
    Ok(line)
}

/// The next message; none where the other end has gone.
pub(super) async fn read<T: DeserializeOwned>(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    from.take(MAX_LINE).read_until(b'\n', &mut line).await?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => serde_json::from_slice(&line).map(Some).map_err(|_| nonsense()),
        // It was cut off in the middle of a line, or the line has no end.
        Some(_) => Err(nonsense()),
    }
}
