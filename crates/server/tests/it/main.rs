//! The server on real sockets: what clients do with it, and what must not be done to it.
//!
//! | module | what it is |
//! |---|---|
//! | [`site`] | a server on loopback with a directory of its own, and a client that speaks raw lines |
//! | [`client`] | everyday work, by a client that others wrote |
//! | [`transfers`] | transfers watched, stopped, pipelined, stalled; both ways, by the bytes |
//! | [`uploads`] | uploads that are cut off leave the old file whole |
//! | [`parts`] | interrupted uploads that are gone on with: the whole file or none, never a mixture |
//! | [`hostile`] | escapes, floods, bounces, port thieves |
//! | [`proxy`] | clients behind a proxy |
//! | [`logins`] | failed logins and bans |
//! | [`running`] | a server that is looked at, told to end sessions and given new settings while it runs |
//! | [`told`] | the events of a session |

mod client;
mod hostile;
mod logins;
mod parts;
mod proxy;
mod running;
mod site;
mod told;
mod transfers;
mod uploads;
