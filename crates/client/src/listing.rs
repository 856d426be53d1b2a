//! Directories as streams.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use port21_proto::listing::Entry;

use crate::ListOptions;
use crate::client::{Client, unfinished};
use crate::error::Error;

/// What a line of a listing says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// An entry.
    Entry(Box<Entry>),
    /// A line that could not be read, as it came: never dropped in silence.
    Unreadable(Vec<u8>),
}

/// The entries of a directory as they come: a [`Stream`], or call [`Entries::next`].
///
/// Its end is reached only after the server has said that the listing is complete; a listing that broke off ends with
/// an error. Dropping it early aborts the listing at the next call.
#[derive(Debug)]
pub struct Entries<'a> {
    client: &'a mut Client,
}

/// The lines of a listing as they come, without their ends: a [`Stream`], or call [`Lines::next`]. Ends as [`Entries`].
#[derive(Debug)]
pub struct Lines<'a> {
    client: &'a mut Client,
}

impl Client {
    /// Lists a directory, the working directory for an empty path: by MLSD where the server has it, else by LIST, whose
    /// dialect is recognised. `.` and `..` are left out.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn list(&mut self, path: impl AsRef<[u8]>) -> Result<Entries<'_>, Error> {
        let _ = (path.as_ref(), Entries { client: self });
        unfinished()
    }

    /// The lines of LIST as the server writes them, for people. They are bytes of the server's choosing: show them with
    /// [`port21_proto::text::Shown`].
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn list_lines(&mut self, path: impl AsRef<[u8]>, options: ListOptions) -> Result<Lines<'_>, Error> {
        let _ = (path.as_ref(), options, Lines { client: self });
        unfinished()
    }

    /// The names in a directory (NLST), as the server writes them.
    ///
    /// # Errors
    /// See [`Client`].
    pub async fn nlst(&mut self, path: impl AsRef<[u8]>) -> Result<Lines<'_>, Error> {
        let _ = (path.as_ref(), Lines { client: self });
        unfinished()
    }
}

impl Entries<'_> {
    /// The next entry; nothing at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Listed, Error>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Entries<'_> {
    type Item = Result<Listed, Error>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let _ = &self.client;
        Poll::Ready(None)
    }
}

impl Lines<'_> {
    /// The next line; nothing at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, Error>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Lines<'_> {
    type Item = Result<Vec<u8>, Error>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let _ = &self.client;
        Poll::Ready(None)
    }
}
