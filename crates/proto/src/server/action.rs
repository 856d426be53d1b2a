//! What a [`ServerSession`](super::ServerSession) asks of its driver, and what the driver answers.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::error::{DataError, LoginError, StorageError, TlsError, TransferError};
use super::settings::SessionSettings;
use crate::event::SessionEvent;
use crate::listing::{Changes, Entry, FactSet, ListOptions};
use crate::op::OpId;
use crate::parameters::{Algorithm, Direction, Mode, Protection, Representation};
use crate::path::FtpPath;
use crate::reply::Text;
use crate::secret::Secret;
use crate::time::Time;
use crate::verb::{Permissions, Verb};

/// What a session gives out, in the order in which it is to be done.
#[derive(Debug)]
#[must_use]
pub enum Output {
    /// Send these bytes on the control connection, before anything that follows. A client that takes none of them for a
    /// while is gone: then [`handle_eof`](super::ServerSession::handle_eof) is called.
    Send(Vec<u8>),
    /// Begin the operation. It runs beside the session; its outcome goes to
    /// [`handle_outcome`](super::ServerSession::handle_outcome).
    Do(OpId, Action),
    /// Stop the operation as soon as may be. Its outcome still comes, once, and tells who won.
    Cancel(OpId),
    /// Let go of what an operation holds: an opened file, an unfinished upload (which then never happened), a
    /// listening port. It has no outcome. A thing that is not held any more is no error.
    Release(OpId),
    /// Who was logged in no longer is: USER, REIN or AUTH has ended it. What the login has taken (a place among the sessions of
    /// its account, for one) is given back now, and not when somebody logs in next, which may be never. The session's end
    /// is a logout too, and is told by [`Output::Close`] alone.
    LoggedOut,
    /// The account may do no such thing anywhere, and the client was told so without anything being done: the verb, and what
    /// it was about. For those who are asked why it does not work.
    Denied(Verb, Vec<u8>),
    /// Send all that was given out, then close the control connection, and end every operation and connection of the
    /// session. Nothing follows.
    Close,
    /// Something to record.
    Event(SessionEvent),
    /// There is no more until input, an outcome, or this moment ([`Time::MAX`]: no moment): then call
    /// [`handle_timeout`](super::ServerSession::handle_timeout).
    Wait(Time),
}

/// An operation.
#[derive(Debug)]
pub enum Action {
    /// Is this who they say they are? -> [`Outcome::Login`]
    Authenticate {
        /// The site that they came to.
        site: SiteId,
        /// The name given with USER.
        user: Vec<u8>,
        /// The password given with PASS.
        password: Secret,
    },
    /// Does the client's certificate suffice for this name, without a password? Asked at USER, and only where a
    /// certificate was shown ([`Secured::certificate`]). A refusal is no failed login: PASS is asked for. ->
    /// [`Outcome::Login`]
    Recognise {
        /// The site that they came to.
        site: SiteId,
        /// The name given with USER.
        user: Vec<u8>,
    },
    /// Which site has this name (HOST)? -> [`Outcome::Site`]
    FindSite(Vec<u8>),
    /// Listen on a free port for one data connection; held under this operation's id until released.
    /// -> [`Outcome::Listening`]
    Listen {
        /// PASV: the address must be told as IPv4.
        ipv4: bool,
        /// What PROT says: a client may begin TLS as soon as it has connected. A port in clear may be used for a transfer
        /// that is private; one that is private is released where PROT C follows.
        protection: Protection,
    },
    /// Open a regular file to be read; held. -> [`Outcome::Opened`]
    Open {
        /// Which file.
        path: FtpPath,
        /// The first byte wanted (REST): beyond the file's end is [`StorageError::BadOffset`].
        from: u64,
        /// The first byte not wanted any more (RANG); nothing, or beyond the file's end: all to its end.
        to: Option<u64>,
        /// How it will be sent; `Ascii` makes the outcome's size that on the wire, where it is cheap to know.
        representation: Representation,
    },
    /// Open a file to be written; held, and not there for anybody else before [`Action::Commit`], but for
    /// [`Placement::At`], [`Placement::Within`] and [`Placement::End`], which write in place. -> [`Outcome::Created`]
    Create {
        /// Which file; for [`Placement::Unique`] the directory and the prefix of the name.
        path: FtpPath,
        /// Where its bytes go.
        placement: Placement,
        /// Whether a file that exists may be written to.
        overwrite: bool,
        /// How many bytes were announced (ALLO).
        announced: Option<u64>,
        /// What this session was told last of the size of what is there: the client may mean to go on from there.
        told: Option<Told>,
        /// How the bytes will come. What is left of a text that breaks off is not worth keeping: nobody can tell where in
        /// its own file the client would have to go on.
        representation: Representation,
    },
    /// Open a listing to be read; held. -> [`Outcome::Opened`] without a size
    List(ListRequest),
    /// Carry a held source over a data connection, or a data connection into a held upload. A source is let go of at
    /// the end, an upload is held on. The listening port is let go of at once. -> [`Outcome::Transferred`]
    Transfer {
        /// The operation that holds the file or listing.
        job: OpId,
        /// Which way the bytes go.
        direction: Direction,
        /// The connection.
        data: DataChannel,
        /// The representation type.
        representation: Representation,
        /// Whether TLS is spoken on the connection, in which the server is the TLS server whoever connects.
        protection: Protection,
        /// The transfer mode: how the bytes go over the connection.
        mode: Mode,
        /// How hard to compress what is sent in [`Mode::Deflate`], 1 to 9.
        level: u8,
    },
    /// Begin TLS on the control connection, as its server: all that was given out before is sent in clear, and whatever
    /// was read from the client and not taken yet is thrown away, for it came in clear and would be taken for protected.
    /// -> [`Outcome::Secured`]
    StartTls {
        /// Where HOST came before: the certificate is this site's, unless the client names another by SNI.
        site: SiteId,
    },
    /// End TLS on the control connection with close_notify, behind all that was given out before, and go on in clear
    /// behind the client's close_notify. -> [`Outcome::Cleared`]
    StopTls,
    /// Make a held upload's bytes last, as the commit mode asks. Before its outcome is handed in, the driver hands in
    /// all that the control connection holds, its end too: a client that was killed also ends its data connection in
    /// order, and then this session must know it. -> [`Outcome::Done`]
    Sync {
        /// The operation that holds the upload.
        job: OpId,
        /// The outcome comes no earlier: the two connections of a client that was killed do not end in one moment.
        until: Time,
    },
    /// Give a held upload its name. It is let go of. -> [`Outcome::Done`]
    Commit(OpId),
    /// A listing as text, for STAT with a path; bounded. -> [`Outcome::Described`]
    Describe(ListRequest),
    /// The facts of one file, a symbolic link followed. -> [`Outcome::Entry`]
    Stat(FtpPath),
    /// Does anything have this name? A symbolic link does, even one that leads nowhere; then the facts are its own. ->
    /// [`Outcome::Entry`]
    Named(FtpPath),
    /// As [`Action::Stat`], for MLST, whose client may want to go on with an interrupted upload: where there is only what
    /// that has left, its size. -> [`Outcome::Entry`] or [`Outcome::Part`]
    Facts(FtpPath),
    /// How many bytes a transfer of the file would have; where there is only what an interrupted upload has left, its
    /// size. -> [`Outcome::Size`] or [`Outcome::Part`]
    Size {
        /// Which file.
        path: FtpPath,
        /// How it would be sent; `Ascii` may be [`StorageError::TooCostly`].
        representation: Representation,
    },
    /// May this be the working directory? -> [`Outcome::Done`]
    Enter(FtpPath),
    /// Give a file or directory another name. -> [`Outcome::Done`]
    Rename {
        /// Its name.
        from: FtpPath,
        /// Its new name.
        to: FtpPath,
        /// Whether a file of the new name may be replaced.
        overwrite: bool,
    },
    /// Remove a file. -> [`Outcome::Done`]
    RemoveFile(FtpPath),
    /// Remove an empty directory. -> [`Outcome::Done`]
    RemoveDirectory(FtpPath),
    /// Make a directory. -> [`Outcome::Done`]
    MakeDirectory(FtpPath),
    /// Set facts of a file. -> [`Outcome::Done`]
    SetFacts(FtpPath, Changes),
    /// Make a symbolic link. -> [`Outcome::Done`]
    Link {
        /// What it leads to, in the account's own paths.
        target: FtpPath,
        /// Its name, which must be free.
        link: FtpPath,
    },
    /// Remove a directory and all that is in it; links are removed, not followed. May be cancelled halfway.
    /// -> [`Outcome::Done`]
    RemoveTree(FtpPath),
    /// Put files one behind the other to the end of another, which is made where it is not there; then remove them. Whether
    /// two of these paths lead to one file ([`StorageError::SameFile`]), and whether each part may be removed, is found out
    /// before anything is written; done is when the target is, even if a part should stay. Cancelled before the end, it
    /// never happened. -> [`Outcome::Done`]
    Combine {
        /// The file that they are put to.
        target: FtpPath,
        /// The files, in their order.
        parts: Vec<FtpPath>,
        /// Whether a target that exists may be added to.
        overwrite: bool,
    },
    /// How many bytes all files in a directory and below it have. -> [`Outcome::Size`]
    TreeSize(FtpPath),
    /// How many bytes an upload to this directory may have: room and quota. -> [`Outcome::Size`]
    Available(FtpPath),
    /// The digest of a file. -> [`Outcome::Digest`]
    Digest(DigestRequest),
    /// Who is logged in, as lines. -> [`Outcome::Text`]
    Who {
        /// Those of other accounts too.
        everybody: bool,
    },
}

/// A site of a server: the one that HOST has chosen, or [`SiteId::DEFAULT`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SiteId(pub usize);

impl SiteId {
    /// The site of a client that has named none.
    pub const DEFAULT: SiteId = SiteId(0);
}

/// A digest that is wanted. It is of the bytes as TYPE I and MODE S would carry them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestRequest {
    /// Which file.
    pub path: FtpPath,
    /// By which algorithm.
    pub algorithm: Algorithm,
    /// The first byte that counts: beyond the file's end is [`StorageError::BadOffset`].
    pub from: u64,
    /// The first that does not count any more; nothing, or beyond the file's end: all to its end.
    pub to: Option<u64>,
    /// The most bytes that may be read for it: more are [`StorageError::TooLarge`].
    pub most: Option<u64>,
}

/// Where the bytes of an upload go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// They are the file (STOR).
    Whole,
    /// They are a file of a name that is not taken yet (STOU).
    Unique,
    /// From this byte on, in the file that is there (REST + STOR); or behind what an interrupted upload has left, where
    /// the client was told that it is so long.
    At(u64),
    /// They are these bytes of the file that is there, and no others of it change: it is never cut, and grows where it was
    /// shorter (RANG + STOR, draft-bryan-ftp-range-08 section 4.3). Where there is no file, and the range begins at its
    /// first byte, they are the file; or they go behind what an interrupted upload has left, as with `At`. More or fewer
    /// bytes than the range has are [`StorageError::WrongLength`].
    Within {
        /// The first byte: beyond the file's end is [`StorageError::BadOffset`].
        from: u64,
        /// The first byte that is not written any more; greater than `from`.
        to: u64,
    },
    /// Behind the file's last byte (APPE), or behind what an interrupted upload has left, where the client was told how
    /// much that is; else a file that is not there is made, as with `Whole`.
    End,
}

/// What a client was told of a size, by SIZE or MLST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// That there is a file of so many bytes.
    File(u64),
    /// That an interrupted upload has left this ([`Outcome::Part`]).
    Part(Part),
}

/// What an interrupted upload has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many bytes.
    pub size: u64,
    /// What tells it from all others that the same name may have had before or since, as the storage has it: two sessions
    /// of an account may each leave one of the same size.
    pub identity: [u64; 2],
}

/// How a data connection comes to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataChannel {
    /// The client connects to the port that this [`Action::Listen`] holds.
    Passive(OpId),
    /// The server connects to this address, which is known to be the client's own.
    Active(SocketAddr),
}

/// How a listing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListFormat {
    /// As `ls -l` does (LIST).
    Long,
    /// Names alone (NLST).
    Names,
    /// Facts (MLSD).
    Facts(FactSet),
}

/// A listing that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// The directory or file.
    pub path: FtpPath,
    /// The last part of what was asked for, where it is a pattern: only matching names of `path` are listed.
    pub pattern: Option<Vec<u8>>,
    /// The argument as the client wrote it: NLST puts its directory before each name.
    pub written: Vec<u8>,
    /// How it is written.
    pub format: ListFormat,
    /// The options of `ls`.
    pub options: ListOptions,
    /// In which time zone [`ListFormat::Long`] tells times ([`SessionSettings::list_zone`]). Facts tell UTC whatever this is
    /// (RFC 3659 section 2.3).
    pub zone: TimeZone,
}

/// What became of an operation.
#[derive(Debug)]
pub enum Outcome {
    /// Of [`Action::Authenticate`] and [`Action::Recognise`].
    Login(Result<Grant, LoginError>),
    /// Of [`Action::FindSite`]: the site and its settings; nothing where no site has the name.
    Site(Option<(SiteId, Arc<SessionSettings>)>),
    /// Of [`Action::Listen`]: the address to tell the client.
    Listening(Result<SocketAddr, DataError>),
    /// Of [`Action::Open`] and [`Action::List`].
    Opened(Result<Opened, StorageError>),
    /// Of [`Action::Create`]: the name of the file (which STOU tells).
    Created(Result<FtpPath, StorageError>),
    /// Of [`Action::Transfer`].
    Transferred(Transferred),
    /// Of [`Action::StartTls`].
    Secured(Result<Secured, TlsError>),
    /// Of [`Action::StopTls`].
    Cleared(Result<(), TlsError>),
    /// Of [`Action::Stat`], [`Action::Named`] and [`Action::Facts`].
    Entry(Result<Box<Entry>, StorageError>),
    /// Of [`Action::Digest`].
    Digest(Result<Digested, StorageError>),
    /// Of [`Action::Size`] and its like.
    Size(Result<u64, StorageError>),
    /// Of [`Action::Size`] and [`Action::Facts`]: no file has this name, but an upload to it was interrupted, and so many
    /// bytes of it are kept.
    Part(Part),
    /// Of [`Action::Describe`].
    Described(Result<Described, StorageError>),
    /// Of [`Action::Who`]: the lines, without ends.
    Text(Result<Vec<Text>, StorageError>),
    /// Of [`Action::Combine`] and [`Action::RemoveTree`], where it is one of several files that stands in the way.
    Refused {
        /// The file, or the directory.
        at: FtpPath,
        /// What is with it.
        error: StorageError,
    },
    /// Of all others.
    Done(Result<(), StorageError>),
}

/// A listing as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Whether it is of what is in a directory; else of what was asked for itself: a file, or what a pattern matches.
    pub is_directory: bool,
    /// The lines, without ends.
    pub lines: Vec<Text>,
}

/// A source that was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// How many bytes the data connection will carry, where that is known.
    pub size: Option<u64>,
}

/// How a transfer ended.
#[derive(Debug)]
pub struct Transferred {
    /// How many bytes the data connection carried.
    pub bytes: u64,
    /// How it ended. A success means for a download that all was sent and the connection closed; for an upload that
    /// the peer ended its side in order.
    pub result: Result<(), TransferError>,
    /// The SHA-256 of the bytes that an upload's data connection carried, where
    /// [`SessionSettings::receipt`] asks for it. Of an upload that goes on with a file nobody is told it.
    pub digest: Option<[u8; 32]>,
}

/// A digest that was computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digested {
    /// The first byte that was read.
    pub from: u64,
    /// The first behind those that were read.
    pub to: u64,
    /// The digest.
    pub digest: Vec<u8>,
}

/// TLS that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// Version and cipher suite, for people: `TLS 1.3, TLS13_AES_256_GCM_SHA384`.
    pub description: String,
    /// Whether the client has shown a certificate that was verified.
    pub certificate: bool,
}

/// What a login gives.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The working directory to begin with.
    pub home: FtpPath,
    /// Whether this is an anonymous guest.
    pub anonymous: bool,
    /// What may be done.
    pub permissions: Permissions,
    /// What counts as the end of a whole upload.
    pub upload_eof: UploadEof,
}

/// What counts as the end of a whole upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UploadEof {
    /// The data connection ended in order (under TLS with close_notify), and the control connection still stood when it
    /// was looked at again. The default.
    #[default]
    Strict,
    /// The data connection ended in order, as far as TCP tells: for devices that hang up as soon as the last byte is
    /// sent, or never send close_notify. An upload then goes on though its control connection has ended. The danger: a
    /// device that is killed or restarted in the middle ends its connections in order too, and its half file takes the
    /// name of the whole one; under TLS whoever is on the way can cut a file short.
    Lenient,
}
