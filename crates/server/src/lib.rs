//! The FTP server of port21: a tokio driver for the sans-IO session of `port21_proto`, with storage and accounts.
//!
//! | module | what it is |
//! |---|---|
//! | [`Server`] (`server`), `listen` | listeners, limits, sessions, shutdown; the listening sockets |
//! | [`settings`], [`network`] | what an operator sets |
//! | `session` | one control connection: its task, its operations |
//! | `data` | data connections: passive, active, down, up, listings |
//! | `limits` | who is let in |
//! | [`events`], `clock` | what a server tells of its sessions, and when |
//! | [`storage`] | where an account's files are: the trait, and what it hands out |
//! | [`account`] | who may log in, and what that gives |

pub mod account;
mod clock;
mod data;
pub mod events;
mod limits;
mod listen;
pub mod network;
mod server;
mod session;
pub mod settings;
pub mod storage;

pub use account::{Account, Anonymous, Attempt, Authenticator, FirstOf, Users};
pub use events::{EventSink, NewSession};
pub use limits::raise_descriptor_limit;
pub use listen::ListenError;
pub use network::Network;
pub use server::{Server, ServerBuilder};
pub use settings::Settings;
pub use storage::{LocalFs, LocalSettings, Storage};
