//! Data connections: how they come to stand, what they carry, how they end.
//!
//! | module | what it is |
//! |---|---|
//! | [`ports`] | which ports passive data connections have, and who holds them |
//! | [`passive`] | a listening port for one data connection |
//! | [`active`] | connecting to the client |
//! | [`standing`] | a data connection that stands and waits for its transfer, and for TLS |
//! | [`lingering`] | a data connection that nobody needs any more, until its client knows why |
//! | [`connection`] | a data connection of a transfer: sending, its end in order, what is told of it |
//! | [`socket`] | the sockets of all these, of which the runtime knows while they are waited for |
//! | [`meter`] | how far a transfer has come, for whoever watches it from outside |
//! | [`encoding`], [`deflate`] | the bytes as the connection has them: TYPE A, MODE Z |
//! | [`pace`] | how fast a transfer may be |
//! | [`download`] | a file to the connection: sendfile, or buffers |
//! | [`listing`] | a listing to the connection |
//! | [`upload`] | the connection to a file |
//!
//! Every function here is one future that can be dropped at any time: that is how a transfer is cancelled.

pub(crate) mod active;
pub(crate) mod connection;
mod deflate;
pub(crate) mod download;
pub(crate) mod encoding;
pub(crate) mod lingering;
pub(crate) mod listing;
pub(crate) mod meter;
pub(crate) mod pace;
pub(crate) mod passive;
pub(crate) mod ports;
pub(crate) mod socket;
pub(crate) mod standing;
pub(crate) mod upload;
