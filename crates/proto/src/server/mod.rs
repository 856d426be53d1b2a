//! The server's side of one control connection, without I/O.
//!
//! A driver hands in what happens ([`ServerSession`]'s `handle_*`) and does what [`ServerSession::poll_output`] gives out,
//! in that order. Bytes of files never pass through here: the session owns a data channel's life (offered, opening,
//! moving, settled), not its bytes, so the control connection is never blocked by a transfer.
//!
//! | module | what it is |
//! |---|---|
//! | `session` | input to commands, one at a time and in their order; time, the end |
//! | `queue` | what waits: commands for their turn, outputs for the driver |
//! | `command` | the gate, and one arm a verb |
//! | `login`, `channel`, `files`, `about` | what the arms do: who and where, data connections, files, questions |
//! | `tls` | AUTH, PBSZ, PROT, CCC: what is protected, and when that changes |
//! | `transfer` | the life of RETR, STOR, LIST and their like, from its opening to its last reply |
//! | `sizes` | which sizes the client was told: it may go on with an upload from there |
//! | `outcome` | how the outcomes of all other operations are answered |
//! | `pace` | commands that come too fast, lines that are none, transfers that crawl |
//! | `wording` | the text of replies; the one table from storage errors to reply codes |
//! | `action` | what is asked of the driver, and its answers |
//! | `error` | why an operation was not done, and who erred |
//! | `settings` | what an operator sets |

mod about;
mod action;
mod channel;
mod command;
mod error;
mod files;
mod login;
mod outcome;
mod pace;
mod queue;
mod session;
mod settings;
mod sizes;
mod tls;
mod transfer;
mod wording;

pub use action::*;
pub use error::*;
pub use session::ServerSession;
pub use settings::{Receipt, SessionSettings, TlsMode, TlsSettings};

// The terms that the actions speak in, and which a driver needs with them.
pub use crate::listing::{Changes, FactSet, ListOptions};
pub use crate::op::OpId;
pub use crate::parameters::{Algorithm, Direction, Mode, Protection, Representation};
