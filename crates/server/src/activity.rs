//! What was done in sessions, for whoever keeps accounts of it: a log of transfers, hooks.
//!
//! Unlike [`events`](crate::events), which are the whole of a session's conversation, these are the few things that an
//! operator acts on, each told once and when it is final: an upload is told when it has its name, or will never have it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use port21_proto::server::{LoginError, Representation};
use port21_proto::{FtpPath, Time};

/// Takes the activities of all sessions, in the order in which they are final. It is called by the sessions' tasks and must
/// not block.
pub type ActivitySink = Arc<dyn Fn(&Activity) + Send + Sync>;

/// One thing that was done, by whom, and when.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Activity {
    /// When it was final.
    pub at: Time,
    /// The session's number, as in the log.
    pub session: u64,
    /// The client's end of the control connection.
    pub peer: SocketAddr,
    /// Whose session it is; empty before a login.
    pub account: Arc<str>,
    /// Whether that is a guest.
    pub anonymous: bool,
    /// What the guest gave for a password, if it may be an e-mail address: of visible characters, 254 at most. Nobody has
    /// looked whether it is one.
    pub guest: Option<Arc<str>>,
    /// The first name of the site; nothing: the one to begin with.
    pub site: Option<Arc<str>>,
    /// What was done.
    pub deed: Deed,
}

impl Activity {
    /// Something that was done in this session, by this account, from there, at the site to begin with.
    pub fn new(at: Time, session: u64, peer: SocketAddr, account: Arc<str>, anonymous: bool, deed: Deed) -> Activity {
        Activity { at, session, peer, account, anonymous, guest: None, site: None, deed }
    }
}

/// What was done. Paths are the account's own; `file` is the file of this machine, where the storage can tell.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Deed {
    /// Somebody tried to log in.
    Login {
        /// The name as the client wrote it.
        user: Vec<u8>,
        /// Why not, if not.
        result: Result<(), LoginError>,
    },
    /// A file was carried, whole or in part.
    Transferred {
        /// Which way: [`Direction::List`] is no activity.
        direction: Direction,
        /// The file.
        path: FtpPath,
        /// The file of this machine.
        file: Option<PathBuf>,
        /// How many bytes went over the data connection.
        bytes: u64,
        /// From the opening of the data connection to its end.
        took: Duration,
        /// TYPE A or I.
        representation: Representation,
        /// Of a download: all bytes were taken. Of an upload: the file has its name, with all bytes.
        whole: bool,
    },
    /// A file was removed.
    Removed {
        /// The file.
        path: FtpPath,
        /// The file of this machine that is no more.
        file: Option<PathBuf>,
    },
    /// A file or directory was given another name.
    Renamed {
        /// The name that it had.
        from: FtpPath,
        /// The name that it has.
        path: FtpPath,
        /// The file of this machine that has that name.
        file: Option<PathBuf>,
    },
    /// A directory was made.
    DirectoryMade {
        /// The directory.
        path: FtpPath,
        /// That of this machine.
        file: Option<PathBuf>,
    },
    /// A directory was removed. Of a whole tree the top alone is told; its files are, each as removed.
    DirectoryRemoved {
        /// The directory.
        path: FtpPath,
        /// That of this machine which is no more.
        file: Option<PathBuf>,
    },
}

/// What a transfer carries, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// A file to the client.
    Down,
    /// A file from the client.
    Up,
    /// A listing to the client.
    List,
}

impl Direction {
    /// All of them.
    pub const ALL: [Direction; 3] = [Direction::Down, Direction::Up, Direction::List];

    /// The word for it: `download`, `upload`, `listing`.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::Down => "download",
            Direction::Up => "upload",
            Direction::List => "listing",
        }
    }
}
