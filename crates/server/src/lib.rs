//! The FTP server of port21: a tokio driver for the sans-IO session of `port21_proto`, with storage and accounts.
//!
//! | module | what it is |
//! |---|---|
//! | [`Server`] (`server`) | serves: listeners, sessions, reloads, the end |
//! | `listen` | the listening sockets, and what comes in there |
//! | `admission`, `limits`, `proxy` | who is let in, and who it is, behind a proxy |
//! | `shared` | what the sessions of a server share |
//! | [`settings`], [`network`] | what an operator sets |
//! | `session` | one control connection: its task, its operations |
//! | `data` | data connections: passive, active, down, up, listings |
//! | [`Site`] (`sites`) | the sites that HOST names |
//! | `brief` | work that may wait for a disk, and mostly does not: on which thread it is done |
//! | `throttle` | lines of the log that strangers can cause |
//! | `handle`, `status`, `registry` | what can be asked of a server while it runs: who is on, what was counted, a reload |
//! | [`events`], [`activity`], `clock` | what a server tells of its sessions, and when |
//! | [`storage`] | where an account's files are: the trait, and what it hands out |
//! | [`tls`] | certificates, sessions that belong together, TLS on connections |
//! | [`account`] | who may log in, and what that gives |

pub mod account;
pub mod activity;
mod admission;
mod brief;
mod clock;
mod data;
pub mod events;
mod handle;
mod limits;
mod listen;
pub mod network;
mod proxy;
mod registry;
mod server;
mod session;
pub mod settings;
mod shared;
mod sites;
mod status;
pub mod storage;
mod throttle;
pub mod tls;

pub use account::{Account, Anonymous, Attempt, Authenticator, FirstOf, Users};
pub use activity::{Activity, ActivitySink, Deed, Direction};
pub use events::{EventSink, NewSession};
pub use handle::{ReloadError, Reloaded, ServerHandle};
pub use limits::raise_descriptor_limit;
pub use listen::{Listen, ListenError, listen_ahead};
pub use network::Network;
pub use port21_proto::server::TlsMode;
pub use server::{Server, ServerBuilder, TlsSetupError};
pub use settings::Settings;
pub use sites::Site;
pub use status::{At, Counts, Refusal, SessionStatus, TransferCounts, TransferStatus, Whom};
pub use storage::{LocalFs, LocalSettings, Storage};
