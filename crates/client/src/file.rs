//! Whole files: kept aside until they are whole, resumed, with progress.

use std::path::Path;

use port21_proto::Reply;

use crate::client::{Client, unfinished};
use crate::error::Error;
use crate::upload::Upload;

/// How a file is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GetOptions {
    /// Go on from what an earlier attempt has left aside (`NAME.port21-part`), or, where nothing was left aside and
    /// the file itself is there and shorter than the server's, from the file's end. Image form only.
    pub resume: bool,
    /// Give the file the server's modification time (MDTM). One command more.
    pub keep_time: bool,
}

/// How a file is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Go on behind what the server has of it already (SIZE, then REST and STOR, or APPE). Image form only.
    pub resume: bool,
    /// Give the server's file the local modification time (MFMT). One command more.
    pub keep_time: bool,
    /// Where the bytes go, without `resume`.
    pub how: Upload,
    /// Send to `NAME.port21-part` and rename when whole: for servers that show uploads before they are. Two commands
    /// more, and the server must allow renaming.
    pub aside: bool,
}

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the file that are there, with those that were there before a resumption.
    pub done: u64,
    /// Bytes of the whole file, where known.
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
    /// The name that the server has made up, of [`Upload::Unique`].
    pub unique_name: Option<Vec<u8>>,
}

impl Client {
    /// Fetches a file into `local`. It is written aside, as `NAME.port21-part`, and takes its name when the server has
    /// said that it is whole: a part never has a whole file's name. What is left aside by a failure stays there, for
    /// `resume`. `progress` is called now and then, and at the end.
    ///
    /// # Errors
    /// See [`Client`]; [`Error::Local`] for the local file; [`Error::Partial`] where a part was left aside.
    pub async fn get_file(
        &mut self,
        remote: impl AsRef<[u8]>,
        local: &Path,
        options: &GetOptions,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Transferred, Error> {
        let _ = (remote.as_ref(), local, options, progress);
        unfinished()
    }

    /// Sends the file `local`.
    ///
    /// # Errors
    /// See [`Client`]; [`Error::Local`] for the local file; [`Error::Partial`] where the server may have a part.
    pub async fn put_file(
        &mut self,
        local: &Path,
        remote: impl AsRef<[u8]>,
        options: &PutOptions,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Transferred, Error> {
        let _ = (local, remote.as_ref(), options, progress);
        unfinished()
    }
}
