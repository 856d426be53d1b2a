//! Sessions in a file: one event a line, as JSON.
//!
//! The first line is a header, each other line an event:
//!
//! ```json
//! {"format":"port21-recording","version":1,"by":"client","product":"port21 0.1.0","start":"2005-05-02T21:07:00.000000000Z"}
//! {"t":"2005-05-02T21:07:00.029000000Z","kind":"command","connection":0,"verb":"USER","argument":"ftp"}
//! {"t":"2005-05-02T21:07:00.040000000Z","kind":"reply","connection":0,"code":331,"lines":["Password required."]}
//! ```
//!
//! - **Times** are RFC 3339 in UTC, to the nanosecond.
//! - **Bytes** that a peer chose (arguments, lines of replies) are a string where they are UTF-8, else
//!   `{"hex":"ff00"}`: nothing is lost either way.
//! - **Secrets** are masked before they become events, and once more by [`Writer`].
//! - A **session** of its own name may stand in the header (for all lines behind it) or in a line
//!   (`"session":"7"`): one file may hold many. A further header in the file begins a further recording, so that
//!   files can be joined by `cat`.
//! - **Later versions**: a kind of event that a reader does not know is passed over with a note, a field that it does
//!   not know is ignored. What would be misread gets a new version number, and is refused by those who do not know it.
//! - A file that was **cut off** in its last line is drawn as far as it goes.
//!
//! | module | what it is |
//! |---|---|
//! | `line` | the lines as JSON: the one place that knows the format's shapes |
//! | `reader`, `writer` | lines to events, and events to lines |
//! | `whole` | a file as a whole, parted into its sessions |

mod line;
mod reader;
mod whole;
mod writer;

use port21_proto::Time;

pub(crate) use line::{Bytes, Stamp};
pub use reader::{Reader, Record};
pub use whole::{RecordedSession, Recording};
pub use writer::Writer;

/// The name of the format, in the header.
pub const FORMAT: &str = "port21-recording";

/// The version of the format that this crate writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// The most bytes that one line may have: more than the largest reply needs.
pub const MAX_LINE: usize = 8 * 1024 * 1024;

/// The most events that [`Recording::read`] keeps: some 500 MB of memory.
pub const MAX_EVENTS: usize = 2_000_000;

/// Who recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Recorder {
    /// The FTP client.
    Client,
    /// The FTP server.
    Server,
    /// Neither: the session was decoded from captured packets.
    Capture,
}

/// What the first line of a recording says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who recorded.
    pub by: Recorder,
    /// The program that recorded, and its version: `port21 0.1.0`.
    pub product: String,
    /// When the recording began.
    pub start: Time,
    /// What the drawing is to be called.
    pub title: Option<String>,
    /// The session that lines without a session of their own belong to.
    pub session: Option<String>,
}

impl Header {
    /// A header of this version of port21.
    pub fn new(by: Recorder, start: Time) -> Header {
        Header { by, product: crate::PRODUCT.to_owned(), start, title: None, session: None }
    }
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file could not be read.
    #[error("the recording cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// There is nothing in it.
    #[error("the file is empty: a recording begins with a header line")]
    Empty,
    /// The first line is no header.
    #[error("not a port21 recording: line 1 is no header ({0})")]
    NotARecording(String),
    /// A newer version of the format.
    #[error(
        "line {line}: the recording has format version {version}, this port21 reads up to {VERSION}: use a newer port21"
    )]
    Newer {
        /// The header's line, from 1.
        line: u64,
        /// Its version.
        version: u32,
    },
    /// A line of more than [`MAX_LINE`] bytes.
    #[error("line {line} is longer than {MAX_LINE} bytes: not a line of a recording")]
    TooLong {
        /// Which line, from 1.
        line: u64,
    },
    /// A line that is no event.
    #[error("line {line} is not an event: {what}")]
    Line {
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
}
