//! The FTP server of port21: a tokio driver for the sans-IO session of `port21_proto`, with storage and accounts.
//!
//! | module | what it is |
//! |---|---|
//! | [`storage`] | where an account's files are: the trait, and what it hands out |
//! | [`account`] | who may log in, and what that gives |

pub mod account;
pub mod storage;

pub use account::{Account, Attempt, Authenticator};
pub use storage::Storage;
