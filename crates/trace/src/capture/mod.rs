//! Sessions out of packet captures: what somebody's tcpdump has seen, as the events that a driver would have told.
//!
//! ```text
//! files ─> packets ─> TCP segments, DNS messages ─> connections ─> sessions
//! ```
//! Packets are taken in the order of their times, from all files at once. Memory does not grow with the capture, but with
//! what is told of it; each part says its own bound.
//!
//! | module | what it is |
//! |---|---|
//! | `file` | packets of a pcap or pcapng file |
//! | `packet`, `fragments` | from a packet to a TCP segment or a UDP datagram |
//! | `stream` | one direction of a TCP connection, put in order |
//! | `flow`, `flows` | a TCP connection; all of them |
//! | `counter` | what is counted of a side of it |
//! | `recognise` | which of them is a control connection |
//! | `control`, `tls`, `dns` | what is said on it; what can be told of TLS; name servers |
//! | `sessions` | which connections belong together |
//! | `lookups` | which look-ups of names belong to them |
//! | `nat` | one session seen on both sides of address translation |
//! | `live` | packets that come one after the other, and what is known of their sessions so far |
//! | `write` | packets to a pcapng file |
//! | `frames`, `layers` | the frames of an event, found again; the layers of one |

mod control;
mod counter;
mod dns;
mod file;
mod flow;
mod flows;
mod fragments;
mod frames;
mod layers;
mod live;
mod lookups;
mod nat;
mod packet;
mod recognise;
mod sessions;
mod stream;
mod tls;
mod write;

use std::io;

pub(crate) use file::{CaptureFile, is_capture};
pub use frames::{Found, Frame, Frames, Wanted};
pub use layers::Layer;
pub use live::Live;
pub use write::{Link, PcapngWriter};

use crate::input::Secrets;
use crate::recording::Recording;

/// Why a capture cannot be read at all. One that is damaged further on is read up to there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The file could not be read.
    #[error("the capture cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It ends within its head.
    #[error("the capture ends within its first bytes: there is no packet in it")]
    NoHeader,
    /// Its head is damaged.
    #[error("the capture's head is damaged: it is neither pcap nor pcapng")]
    Header,
}

/// Decodes captures, all together: the packets of both sides of a NAT, or of files that follow each other, are one.
pub(crate) fn decode(mut files: Vec<(String, CaptureFile)>, secrets: Secrets) -> Recording {
    let mut flows = flows::Flows::new(secrets);
    files.iter_mut().enumerate().for_each(|(n, (_, file))| file.packet.file = n);
    let mut ready: Vec<bool> = files.iter_mut().map(|(_, file)| file.advance()).collect();
    loop {
        let waiting = files.iter().zip(&ready).enumerate().filter(|(_, (_, ready))| **ready);
        let Some((next, _)) = waiting.min_by_key(|(_, ((_, file), _))| file.packet.at) else { break };
        let Some((_, file)) = files.get_mut(next) else { break };
        flows.packet(&file.packet);
        let more = file.advance();
        ready.get_mut(next).into_iter().for_each(|ready| *ready = more);
    }
    let several = files.len() > 1;
    let notes = files.iter().flat_map(|(name, file)| {
        file.notes().iter().map(move |note| if several { format!("{name}: {note}") } else { note.clone() })
    });
    let notes = notes.collect();
    flows.finish(notes)
}
