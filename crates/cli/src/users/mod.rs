//! Accounts that `port21 user` keeps: `users.toml`, beside the configuration.
//!
//! The administrator's own file is never rewritten; this one is, as a whole: comments in it do not stay. It may be edited
//! by hand as well. A server takes changes up at the next login, and within seconds for those who are logged in. The file
//! itself is part of the configuration: [`crate::config::accounts::file`].
//!
//! | module | what it is |
//! |---|---|
//! | [`watched`] | the file as a server uses it |
//! | [`external`] | accounts that a program knows |
//! | [`account`] | from an entry to what a session may do |
//! | [`overlap`] | whose files others can reach |
//! | [`command`] | `port21 user` |

pub(crate) mod account;
pub(crate) mod command;
pub(crate) mod external;
pub(crate) mod overlap;
pub(crate) mod watched;
