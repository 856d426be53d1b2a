//! Where an account's files are: one trait, served to sessions as boxed futures, and what it hands out.
//!
//! A [`Storage`] does exactly what [`Action`](port21_proto::server::Action) asks for. Its errors are semantic
//! ([`StorageError`]); proto's one table turns them into replies. One box is made an operation, none a byte.
//!
//! | module | what it is |
//! |---|---|
//! | `local` | the files of this machine |
//! | `guarded`, [`rules`] | a storage in which not everything may be done everywhere |
//! | `policy` | how an account's uploads become files, by path |
//! | `quota`, `ledger` | what an account may take up; the count of that |
//! | `glob` | patterns of names, for listings |

mod glob;
mod guarded;
mod ledger;
mod local;
mod policy;
mod quota;
pub mod rules;

use std::fs::File;
use std::future::Future;
use std::io::Seek;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
use port21_proto::FtpPath;
use port21_proto::ascii::ToWire;
use port21_proto::listing::Entry;
use port21_proto::server::{ListRequest, Part, Placement, Representation, StorageError, Told};
use tokio::io::{AsyncRead, AsyncWrite};

pub use guarded::Guarded;
pub use ledger::{Ledger, QuotaLimits, Used};
pub use local::{LocalFs, LocalSettings, storage_error};
pub use policy::{CommitMode, UploadPolicy};
pub use quota::Quota;

/// A future on the heap, as a trait object's methods return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What every method of a [`Storage`] returns.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StorageError>>;

/// The files of one account. Paths are the account's own: `/` is its root, and nothing above that can be named.
///
/// Whether the account may do a thing was asked before (by the session, from the verb table): a storage refuses only
/// what the place itself refuses. A future that is dropped stops the operation as soon as may be; what it had opened
/// is let go of, and an upload that it had begun never happened.
pub trait Storage: Send + Sync {
    /// Opens a regular file to be read from the byte `from` on.
    ///
    /// # Errors
    /// [`StorageError::BadOffset`] where `from` is beyond the file's end (at its end is none: there are no bytes),
    /// [`StorageError::IsADirectory`], [`StorageError::NotARegularFile`], and as the place has them.
    fn open_read<'a>(&'a self, path: &'a FtpPath, from: u64) -> Answer<'a, Source>;

    /// Begins an upload.
    ///
    /// # Errors
    /// [`StorageError::Busy`] where another upload to this file is under way, [`StorageError::Exists`] where the file
    /// is there and may not be overwritten, [`StorageError::BadOffset`] for [`Placement::At`] and [`Placement::Within`]
    /// beyond the end,
    /// [`StorageError::NoResume`] where the client goes on from somewhere else than what is there, [`StorageError::NoSpace`] and
    /// [`StorageError::OverQuota`] where the announced bytes have no room, and as the place has them.
    fn create<'a>(&'a self, request: UploadRequest<'a>) -> Answer<'a, Box<dyn Upload>>;

    /// The file of this machine that a path names, for those who are told of what was done: nobody opens it by this. None
    /// where there is none, or a path does not tell it.
    fn local_path(&self, path: &FtpPath) -> Option<PathBuf> {
        let _ = path;
        None
    }

    /// What is kept of an upload to this path that was interrupted, where no file has that name. An account
    /// is told of its own uploads only. Nothing else tells of them: they are in no listing and cannot be read.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] where there is none; without this method there never is.
    fn part<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, Part> {
        let _ = path;
        Box::pin(std::future::ready(Err(StorageError::NotFound)))
    }

    /// Opens a listing. The first error comes here, before anything was told of the listing to anyone.
    ///
    /// # Errors
    /// As the place has them; a pattern that nothing matches is none.
    fn list<'a>(&'a self, request: &'a ListRequest) -> Answer<'a, Box<dyn Listing>>;

    /// The facts of one file or directory, all that are known; a symbolic link is followed. Its name is the whole path.
    ///
    /// # Errors
    /// As the place has them.
    fn stat<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, Entry>;

    /// How many bytes a transfer of the file would have.
    ///
    /// # Errors
    /// [`StorageError::TooCostly`] where [`Representation::Ascii`] would mean reading more than [`COUNTED`] bytes; as
    /// for [`Storage::open_read`].
    fn size<'a>(&'a self, path: &'a FtpPath, representation: Representation) -> Answer<'a, u64>;

    /// Whether this may be the working directory.
    ///
    /// # Errors
    /// [`StorageError::NotADirectory`], [`StorageError::Forbidden`] where it may not be searched.
    fn enter<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()>;

    /// Gives a file, a directory or a link itself another name. A directory is never replaced, a file only where
    /// `overwrite` says so.
    ///
    /// # Errors
    /// As the place has them.
    fn rename<'a>(&'a self, from: &'a FtpPath, to: &'a FtpPath, overwrite: bool) -> Answer<'a, ()>;

    /// Removes a file, or a link itself; where there is only a [part](Storage::part), that.
    ///
    /// # Errors
    /// [`StorageError::IsADirectory`], and as the place has them.
    fn remove_file<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`StorageError::NotEmpty`], [`StorageError::NotADirectory`] (a link to a directory is none).
    fn remove_directory<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()>;

    /// Makes a directory.
    ///
    /// # Errors
    /// [`StorageError::Exists`], and as the place has them.
    fn make_directory<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()>;

    /// Sets when a file or directory was last changed; a symbolic link is followed.
    ///
    /// # Errors
    /// As the place has them.
    fn set_modified<'a>(&'a self, path: &'a FtpPath, at: Timestamp) -> Answer<'a, ()>;

    /// Sets the permission bits of a file or directory, 0 to 0o777 (bits above are not touched or cleared, as the
    /// place has it, and never set); a symbolic link is followed.
    ///
    /// # Errors
    /// [`StorageError::Unsupported`] where there are no such bits.
    fn set_mode<'a>(&'a self, path: &'a FtpPath, mode: u32) -> Answer<'a, ()>;

    /// Makes a symbolic link that leads to `target`, which need not be there. A place without links has none of this.
    ///
    /// # Errors
    /// [`StorageError::Exists`] where the name is taken, [`StorageError::Unsupported`], and as the place has them.
    fn link<'a>(&'a self, target: &'a FtpPath, link: &'a FtpPath) -> Answer<'a, ()> {
        let _ = (target, link);
        Box::pin(std::future::ready(Err(StorageError::Unsupported)))
    }

    /// Keeps a regular file from everybody else, to read it and then remove it: until it is let go of nobody else writes,
    /// renames or removes it, under whichever of its names ([`StorageError::Busy`]). A symbolic link is followed to what is
    /// read, and is itself what is removed. A place that cannot do that has no COMB.
    ///
    /// # Errors
    /// [`StorageError::Busy`] where somebody writes or holds it, [`StorageError::Denied`] and [`StorageError::Forbidden`] where it may not be read and
    /// removed, [`StorageError::NoResume`] where it may be taken for what an interrupted upload was to become,
    /// [`StorageError::Unsupported`], and as the place has them.
    fn hold<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, Box<dyn Hold>> {
        let _ = path;
        Box::pin(std::future::ready(Err(StorageError::Unsupported)))
    }

    /// As [`Storage::list`], of what is to be removed with all that is in it: also of what the account is told nothing of.
    ///
    /// # Errors
    /// As for that; and [`StorageError::Denied`], from the listing's parts too, where something in it may not be removed. What
    /// was asked before is not found out halfway.
    fn list_to_remove<'a>(&'a self, request: &'a ListRequest) -> Answer<'a, Box<dyn Listing>> {
        self.list(request)
    }

    /// Whether all that this directory has itself could be removed now: nobody writes any of it, or is about to give a name in it
    /// to an upload. What is below it is another question. Where there are no writers but through one session, there is nothing to ask.
    ///
    /// # Errors
    /// [`StorageError::Busy`], and as the place has them.
    fn at_rest<'a>(&'a self, directory: &'a FtpPath) -> Answer<'a, ()> {
        let _ = directory;
        Box::pin(std::future::ready(Ok(())))
    }

    /// How many bytes an upload into this directory may have, by the room that there is and by the quota.
    ///
    /// # Errors
    /// [`StorageError::Unsupported`] where nobody knows, and as the place has them.
    fn available<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, u64> {
        let _ = path;
        Box::pin(std::future::ready(Err(StorageError::Unsupported)))
    }
}

/// A file that was opened to be read.
pub enum Source {
    /// A file of the operating system: what sendfile takes.
    File {
        /// The file, placed at the first byte that is wanted.
        file: File,
        /// How many bytes there were from that place to the end when it was opened. A file may grow and shrink
        /// while it is read: send no more than these, and take an earlier end for an error.
        len: u64,
    },
    /// Anything else.
    Reader {
        /// Gives the bytes from the first that is wanted to the end.
        reader: Box<dyn AsyncRead + Send + Unpin>,
        /// How many they are, where that is known.
        len: Option<u64>,
    },
}

impl Source {
    /// A source without a byte.
    pub(crate) fn empty() -> Source {
        Source::Reader { reader: Box::new(tokio::io::empty()), len: Some(0) }
    }

    /// The same, but no more than so many bytes of it.
    pub(crate) fn at_most(self, most: u64) -> Source {
        match self {
            Source::File { file, len } => Source::File { file, len: len.min(most) },
            Source::Reader { reader, len } if len.is_some_and(|len| len <= most) || most == u64::MAX => {
                Source::Reader { reader, len }
            }
            Source::Reader { reader, len } => {
                let reader = Box::new(tokio::io::AsyncReadExt::take(reader, most));
                Source::Reader { reader, len: len.map(|len| len.min(most)) }
            }
        }
    }

    /// How many bytes a transfer of this source has on the wire, where that is known without reading more than
    /// [`COUNTED`] bytes.
    pub fn wire_size(&self, representation: Representation) -> impl Future<Output = Option<u64>> + Send + use<> {
        let known = match (self, representation) {
            (Source::File { len, .. }, Representation::Image) => Some(*len),
            (Source::Reader { len, .. }, Representation::Image) => *len,
            (_, Representation::Ascii) => None,
        };
        let text = match (self, representation) {
            (Source::File { file, len }, Representation::Ascii) if *len <= COUNTED => {
                file.try_clone().ok().map(|f| (f, *len))
            }
            _ => None,
        };
        async move {
            match text {
                Some((file, len)) => tokio::task::spawn_blocking(move || count_text(&file, len)).await.ok()?,
                None => known,
            }
        }
    }
}

/// Counts the bytes that `len` bytes of a text have on the wire, and leaves the file's position where it is.
fn count_text(mut file: &File, len: u64) -> Option<u64> {
    let begin = file.stream_position().ok()?;
    let (mut count, mut at, mut text) = (0, 0, ToWire::default());
    let mut buffer = [0; 16 << 10];
    while at < len {
        let wanted = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
        let read = buffer.get_mut(..wanted).map(|part| file.read_at(part, begin + at))?.ok()?;
        if read == 0 {
            return None;
        }
        count += text.wire_len(buffer.get(..read)?);
        at += read as u64;
    }
    Some(count)
}

/// The most bytes that are read to find out how long a text is on the wire: 1 MiB, about a millisecond.
pub const COUNTED: u64 = 1 << 20;

/// An upload to be begun.
#[derive(Clone, Copy, Debug)]
pub struct UploadRequest<'a> {
    /// Which file; for [`Placement::Unique`] the directory and the prefix of the name.
    pub path: &'a FtpPath,
    /// Where the bytes go.
    pub placement: Placement,
    /// Whether a file that exists may be replaced or added to.
    pub overwrite: bool,
    /// How many bytes were announced (ALLO): room for them is made where that can be done, and counts as taken.
    pub announced: Option<u64>,
    /// When the file is to be there for others, and how surely.
    pub commit: CommitMode,
    /// What the client was told last of the size of what is there; with all but [`Placement::Whole`] it may
    /// mean to go on from there.
    pub told: Option<Told>,
    /// How the bytes come: of a text that breaks off nothing is kept to go on with.
    pub representation: Representation,
    /// With [`Placement::Whole`]: the bytes begin with those of the file that is there (COMB). They are added to, and so
    /// refused where [`Placement::End`] would be; and where this breaks off it is begun anew, never gone on with.
    pub adds: bool,
}

/// An upload that was begun. Dropped before it was committed, it was interrupted: no file has changed, but what was
/// written in place ([`CommitMode::Direct`], [`Placement::At`], [`Placement::Within`], [`Placement::End`]) stays, and the storage may keep what
/// came as a [part](Storage::part).
///
/// Drop it, or call [`Upload::sync`], only when no write to its sink is under way. A commit that is not waited for may
/// have happened or not.
pub trait Upload: Send {
    /// The file's path; of [`Placement::Unique`] the one that was chosen.
    fn path(&self) -> &FtpPath;

    /// Where the bytes go, one after the other.
    fn sink(&mut self) -> Sink<'_>;

    /// Takes room for so many bytes, which are written next.
    ///
    /// # Errors
    /// [`StorageError::OverQuota`], [`StorageError::WrongLength`] where they are more than [`Placement::Within`] has room for:
    /// they are not to be written.
    fn take(&mut self, bytes: u64) -> Result<(), StorageError> {
        let _ = bytes;
        Ok(())
    }

    /// What came is worth nothing to anybody: when this is dropped, no part is kept of it.
    fn spoil(&mut self) {}

    /// Whether a few bytes are mostly written in microseconds: then that may be done on a thread that sessions share. Where its
    /// file is on another machine it is not.
    fn is_quick(&self) -> bool {
        false
    }

    /// Ends when another upload of the same account is to take this one's place, since this one carries nothing: then
    /// drop it soon. Without this method it never ends.
    fn displaced(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }

    /// Makes the bytes last, as the commit mode asks; for modes that do not ask it costs nothing.
    ///
    /// # Errors
    /// [`StorageError::NoSpace`], [`StorageError::OverQuota`], [`StorageError::Io`]: they will not last.
    /// [`StorageError::WrongLength`] where they are fewer than [`Placement::Within`] has named.
    fn sync(&mut self) -> Answer<'_, ()>;

    /// Gives the upload its name, and in [`CommitMode::Durable`] makes that last too (and the bytes, where
    /// [`Upload::sync`] was not called).
    ///
    /// # Errors
    /// [`StorageError::Exists`] where the name was taken meanwhile and may not be, and as the place has them. The upload
    /// then never happened, unless only the last wait for the disk failed.
    fn commit(self: Box<Self>) -> Answer<'static, ()>;

    /// Drops it, which may have to wait for a disk, where waiting is allowed. It is done when this ends, and soon after even
    /// if nobody waits for that.
    fn let_go(self: Box<Self>) -> BoxFuture<'static, ()> {
        drop(self);
        Box::pin(std::future::ready(()))
    }
}

/// A regular file that is [held](Storage::hold). Dropped, it is let go of.
pub trait Hold: Send + Sync {
    /// What tells it from all other files, whatever their names ([`Entry::unique`]).
    fn unique(&self) -> &[u8];

    /// How many bytes it has.
    fn size(&self) -> u64;

    /// Opens this very file to be read from its beginning.
    ///
    /// # Errors
    /// As the place has them.
    fn open(&self) -> Answer<'_, Source>;

    /// Removes the name by which it was asked for.
    ///
    /// # Errors
    /// [`StorageError::Busy`] where that is not the file that was held any more, since somebody outside has changed it, and
    /// as the place has them.
    fn remove(self: Box<Self>) -> Answer<'static, ()>;
}

/// Where an upload's bytes go.
pub enum Sink<'a> {
    /// A file of the operating system, placed where the next byte goes. Write with its own position (`write`,
    /// `splice`), never at one of your own: the position is how the storage knows how far the upload came. One of
    /// [`Placement::End`] is in append mode, which `splice` refuses (EINVAL) and `write` does not.
    File(Arc<File>),
    /// Anything else. Flush it before [`Upload::sync`].
    Writer(&'a mut (dyn AsyncWrite + Send + Unpin)),
}

/// A listing that was opened: entries in batches, so that no directory is ever held in memory as a whole (but for
/// sorting, which has a cap).
pub trait Listing: Send {
    /// Whether what was asked for is a directory and the entries are those in it. Else they are what was asked for itself:
    /// a file, with `-d` a directory, or the matches of a pattern, each under its last part.
    fn is_directory(&self) -> bool;

    /// The next part; none at the end, and after an error.
    ///
    /// # Errors
    /// [`StorageError::TooMany`] at the end of a recursive listing that had to leave something out; as the place has
    /// them.
    fn next(&mut self) -> Answer<'_, Option<Piece>>;
}

/// A part of a listing.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Of a recursive listing (`-R`): what follows is in this directory, named from the one that was asked for (which
    /// itself is empty, and comes first).
    Directory(Vec<u8>),
    /// Some entries; never none. A link is told as itself, with its target. What a batch does not tell was not
    /// asked for: names alone for NLST, `unique` and `perm` only for facts.
    ///
    /// The names are those on the disk and may hold any byte but `/` and NUL: line ends too. The writers of
    /// [`port21_proto::listing`] let none of them out.
    Entries(Vec<Entry>),
}
