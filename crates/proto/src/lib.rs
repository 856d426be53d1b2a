//! The FTP protocol without I/O: no sockets, no files, no clock, no runtime.
//!
//! The shared truth of a server, a client and a decoder of captures. Inputs are methods named `handle_*`, outputs are
//! drained by polling, and `now` is always an argument, so that every test runs on a virtual clock.
//!
//! | module | what it is |
//! |---|---|
//! | [`mod@line`] | bytes of a control connection to lines; Telnet; caps |
//! | [`verb`] | the one table of verbs |
//! | [`command`], [`reply`] | both ways: parsed and written |
//! | [`path`], [`addr`], [`stamp`], [`secret`], [`text`] | the small types: what is illegal cannot be built |
//! | [`parameters`] | what both ends agree upon before bytes move: TYPE, MODE, PROT, HASH |
//! | [`op`] | names of the operations that a machine asks of its driver |
//! | [`ascii`] | line ends of TYPE A |
//! | [`listing`] | one entry type; writers and readers, one file a dialect |
//! | [`event`] | what happened in a session, for recordings and drawings |
//! | [`server`] | [`server::ServerSession`]: the server's side of one control connection |
//! | [`client`] | the client's side |
//! | [`observe`] | both sides, as somebody sees them who only listens |
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

pub mod addr;
pub mod ascii;
pub mod client;
pub mod command;
pub mod event;
pub mod line;
pub mod listing;
pub mod observe;
pub mod op;
pub mod parameters;
pub mod path;
pub mod reply;
pub mod secret;
pub mod server;
pub mod stamp;
pub mod text;
pub mod time;
pub mod verb;

pub use command::Command;
pub use event::SessionEvent;
pub use path::{FtpPath, PathArg};
pub use reply::{Code, Reply};
pub use secret::Secret;
pub use time::Time;
pub use verb::Verb;
