//! What whoever has ordered many transfers may watch.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::file::{Progress, Transferred};

/// Watches the transfers of a [`Batch`](crate::Batch) or a [`Mirror`](crate::Mirror). Any `Fn(&Event)` is one.
///
/// It is called from within the transfers: what it does must be quick and must not block.
pub trait Watch: Send + Sync {
    /// Takes one event.
    fn event(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync> Watch for F {
    fn event(&self, event: &Event<'_>) {
        self(event);
    }
}

/// A file that is, or is to be, transferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// A number that no other has within one batch or mirror.
    pub id: u64,
    /// Its path on the server.
    pub remote: Vec<u8>,
    /// Its path here.
    pub local: PathBuf,
    /// Its size, where it is known beforehand.
    pub size: Option<u64>,
}

/// Something that happens in many transfers.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A file was found that is to be transferred. It will be among the [`Event::Ended`].
    Found(&'a Item),
    /// Its transfer begins, or begins again.
    Began(&'a Item),
    /// It has come so far.
    Moved(&'a Item, Progress),
    /// A connection was lost, or did not come to stand, and will be tried again.
    Again {
        /// What is to be done on it: the path on the server.
        remote: &'a [u8],
        /// What has happened.
        error: &'a Error,
        /// In how long.
        wait: Duration,
    },
    /// A file was transferred, or was given up.
    Ended {
        /// Which.
        item: &'a Item,
        /// How it went.
        result: &'a Result<Transferred, Error>,
        /// How long it took, with all waits.
        took: Duration,
    },
    /// Something else was done, or, in a dry run, would be.
    Did(Deed, &'a Place),
    /// Something was left as it is.
    Skipped(&'a Place, &'a str),
    /// Something could not be done.
    Failed(&'a Place, &'a Error),
    /// Not all of this directory of the source is known: a line of its listing cannot be read, say.
    Gap(&'a Place, &'a str),
    /// What the user should know.
    Notice(&'a str),
}

/// What was done to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deed {
    /// In a dry run: a file would be transferred to it.
    Transfer,
    /// A directory was made.
    MakeDirectory,
    /// A symbolic link was made.
    Link,
    /// A file or a link was removed.
    Remove,
    /// An empty directory was removed.
    RemoveDirectory,
}

/// A place on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Here.
    Local(PathBuf),
    /// At the server.
    Remote(Vec<u8>),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::os::unix::ffi::OsStrExt as _;
        match self {
            Place::Local(path) => port21_proto::text::Shown(path.as_os_str().as_bytes()).fmt(f),
            // The directory that the login leads to.
            Place::Remote(path) if path.is_empty() => f.write_str("."),
            Place::Remote(path) => port21_proto::text::Shown(path).fmt(f),
        }
    }
}
