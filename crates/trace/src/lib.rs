//! FTP sessions as pictures.
//!
//! ```text
//! events of a driver ─┐
//! recording .jsonl ───┼─> Session (events, linked) ─> Ladder (lanes, rows) ─> text, SVG, PDF, HTML, Mermaid
//! pcap, pcapng ───────┘           └─> JSON
//! ```
//! One model of events, many renderers: each draws from the [`Ladder`] and from nothing else; JSON, which is no drawing, is
//! the session itself.
//!
//! | module | what it is |
//! |---|---|
//! | [`input`] | files of either kind, compressed or not, to sessions |
//! | [`capture`] | packets to sessions |
//! | [`recording`] | events as lines of JSON: [`recording::Writer`], [`recording::Reader`], [`recording::Recording`] |
//! | [`session`] | events linked: command, replies, data connection; sections, transfers, login |
//! | [`findings`] | what is wrong with a session: the rules |
//! | [`ladder`] | lanes, rows and remarks: the drawing, before it has a form |
//! | [`render`] | the ladder in its forms, and the session as JSON |
//! | [`drawing`] | all of it in one call, as the command line needs it |
//! | [`follow`] | sessions drawn while they go on |
//! | [`message`] | one row with all that is known of it, and its bytes |
//! | [`words`] | lengths of time and numbers of bytes as a person reads them |
//!
//! ```
//! # use port21_trace::{Ladder, Session, ladder, recording::Recording, render};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = br#"{"format":"port21-recording","version":1,"by":"client","product":"x","start":"2005-05-02T21:07:00Z"}
//! {"t":"2005-05-02T21:07:00.5Z","kind":"user","text":"open ftp.any-domain.com"}
//! "#;
//! let recording = Recording::read(&file[..])?;
//! for recorded in recording.sessions {
//!     let session = Session::from_events(recorded.events);
//!     let ladder = Ladder::new(&session, &ladder::Options::default());
//!     print!("{}", render::text(&ladder, &render::TextOptions::default()));
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable,
        clippy::string_slice
    )
)]

pub mod capture;
pub mod drawing;
pub mod findings;
pub mod follow;
pub mod input;
pub mod ladder;
mod mask;
pub mod message;
pub mod recording;
pub mod render;
pub mod session;
pub mod words;

/// The name and version of this program, as it stands in headers and titles.
pub const PRODUCT: &str = concat!("port21 ", env!("CARGO_PKG_VERSION"));

pub use drawing::Drawing;
pub use ladder::Ladder;
pub use message::Message;
pub use session::Session;
