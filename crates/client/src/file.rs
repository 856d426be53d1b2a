//! Whole files: what fetching and sending have in common.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use port21_proto::Reply;
use port21_proto::client::Request;
use port21_proto::command::{Command, Timed};
use port21_proto::path::PathArg;
use port21_proto::stamp;

use crate::client::{Client, reply};
use crate::digest::Verified;
use crate::error::Error;

/// What is put behind the name of a file that is not whole yet.
pub(crate) const PART: &str = ".port21-part";

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the file that are there, with those that were there before a resumption.
    pub done: u64,
    /// Bytes of the whole file, where known. In the ASCII type not exact: line ends count differently on both sides.
    pub total: Option<u64>,
}

/// A whole file that was transferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transferred {
    /// Bytes that went over the wire.
    pub bytes: u64,
    /// Where a resumed transfer began.
    pub from: u64,
    /// The server's final reply.
    pub reply: Reply,
    /// The name that the server has made up, of [`Upload::Unique`](crate::Upload::Unique).
    pub unique_name: Option<Vec<u8>>,
    /// Whether the modification time was kept, where that was asked for: not every server can.
    pub time_kept: bool,
    /// By what it was made sure that the file is the one that was sent, where that was asked for and could be done.
    pub verified: Option<Verified>,
}

/// What whole files have taught of a server, for as long as a session with it lasts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    /// It tells the SHA-256 of an upload at its end.
    pub(crate) tells_sha256: bool,
    /// It renames nothing for this user: uploads go to their own names.
    pub(crate) no_renaming: bool,
    /// It sets no times.
    pub(crate) no_times: bool,
    /// It keeps uploads aside itself until they are whole; nothing where it was not asked yet.
    pub(crate) keeps_aside: Option<bool>,
}

impl Client {
    /// The size that the server tells, where it tells one.
    pub(crate) async fn size_if_told(&mut self, path: &[u8]) -> Result<Option<u64>, Error> {
        match self.size(path).await {
            Ok(size) => Ok(Some(size)),
            Err(Error::Refused { .. } | Error::Protocol { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Client {
    /// When the file was last changed, where the server tells.
    pub(crate) async fn mtime_if_told(&mut self, path: &[u8]) -> Result<Option<Timestamp>, Error> {
        match self.mtime(path).await {
            Ok(at) => Ok(Some(at)),
            Err(Error::Refused { .. } | Error::Protocol { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Both, as far as the server tells them.
    pub(crate) async fn facts_if_told(&mut self, path: &[u8]) -> Result<(Option<u64>, Option<Timestamp>), Error> {
        let (size, modified) = self.size_and_mtime(path).await?;
        Ok((size.ok(), modified.ok()))
    }

    /// Whether the server keeps uploads aside itself until they are whole, as port21 does: then they need not be renamed, and
    /// those who watch its directory or its log see one name and one upload.
    pub(crate) async fn keeps_uploads_aside(&mut self) -> Result<bool, Error> {
        if let Some(known) = self.habits.keeps_aside {
            return Ok(known);
        }
        self.probe().await?;
        let told = match self.link.session().features().is_some_and(|features| features.has("CSID")) {
            true => match self.run(Request::Command(Command::Csid(None), None)).await {
                Ok(answer) => reply(answer)?.text().starts_with(b"Name=port21;"),
                Err(Error::Refused { .. }) => false,
                Err(error) => return Err(error),
            },
            false => false,
        };
        self.habits.keeps_aside = Some(told);
        Ok(told)
    }

    /// Sets when a file was last changed, in the way that the server has: MFMT, MDTM with a time, or SITE UTIME. Whether
    /// that was done.
    pub(crate) async fn keep_mtime(&mut self, path: &[u8], at: Timestamp) -> Result<bool, Error> {
        if self.habits.no_times {
            return Ok(false);
        }
        let path = self.path(path).await?;
        let has = |client: &Client, name| client.link.session().features().is_some_and(|f| f.has(name));
        self.probe().await?;
        let mut ways = vec![Command::Mfmt(at, path.clone())];
        if !has(self, "MFMT") && self.link.session().features().is_some_and(|f| !f.lines().is_empty()) {
            ways.clear();
        }
        if has(self, "MDTM") && !has(self, "MFMT") {
            let whole = PathArg::new([stamp::write(at).as_bytes(), b" ", path.as_bytes()].concat())?;
            ways.push(Command::SetMdtm(Timed { at, path: path.clone(), whole }));
        }
        for command in ways {
            match self.run(Request::Command(command, None)).await {
                Ok(_) => return Ok(true),
                Err(Error::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        // Nor will it for the next one.
        self.habits.no_times = true;
        Ok(false)
    }
}

/// Makes an error of the file system one of this file.
pub(crate) fn local(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Local { path: path.to_owned(), source }
}
