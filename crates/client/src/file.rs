//! Whole files: what fetching and sending have in common.

use std::io;
use std::path::Path;

use port21_proto::Reply;

use crate::client::Client;
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

/// Makes an error of the file system one of this file.
pub(crate) fn local(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Local { path: path.to_owned(), source }
}
