//! What the server and the helper say to each other: JSON objects, each on a line of its own.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

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
    /// Whether it is there.
    Ping,
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
    Here,
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

/// Reads messages.
pub(super) struct Reader<R> {
    from: BufReader<R>,
    /// What has come of the next one: whoever waits for it may have something else to do first.
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(super) fn new(from: R) -> Reader<R> {
        Reader { from: BufReader::new(from), line: Vec::new() }
    }

    /// The next message; none where the other end has gone. Dropped before its end it has lost nothing: the next call goes on.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let room = MAX_LINE.saturating_sub(self.line.len() as u64);
        (&mut self.from).take(room).read_until(b'\n', &mut self.line).await?;
        let line = std::mem::take(&mut self.line);
        match line.last() {
            None => Ok(None),
            Some(b'\n') => serde_json::from_slice(&line).map(Some).map_err(|_| nonsense()),
            // It was cut off in the middle of a line, or the line has no end.
            Some(_) => Err(nonsense()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn a_message_that_comes_in_pieces_is_whole_whatever_happens_in_between() {
        let (mut there, here) = tokio::io::duplex(4);
        let mut reader = Reader::new(here);
        let line = write(&Answer { id: 7, result: Ok(Done::Text("x".repeat(100))) }).unwrap();
        let mut left = line.as_slice();
        let answer = loop {
            // Something else comes first, again and again.
            if let Ok(answer) = tokio::time::timeout(Duration::ZERO, reader.next::<Answer>()).await {
                break answer.unwrap().unwrap();
            }
            let (piece, rest) = left.split_at(left.len().min(4));
            there.write_all(piece).await.unwrap();
            left = rest;
        };
        assert!(matches!(answer, Answer { id: 7, result: Ok(Done::Text(text)) } if text.len() == 100));
        drop(there);
        assert!(reader.next::<Answer>().await.unwrap().is_none());
    }
}
