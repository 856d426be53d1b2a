//! The server on real sockets: what clients do with it, and what must not be done to it.
//!
//! | module | what it is |
//! |---|---|
//! | [`site`] | a server on loopback with a directory of its own, and a client that speaks raw lines |
//! | [`client`] | everyday work, by a client that others wrote |
//! | [`transfers`] | transfers watched, stopped, pipelined, stalled; both ways, by the bytes |
//! | [`storages`] | storages that are no plain file system |
//! | [`verbs`] | verbs that are no transfers: facts, trees, SITE, HOST |
//! | [`digests`] | HASH and its like, and how they are stopped |
//! | [`compressed`] | MODE Z both ways, and what it must not become |
//! | [`ranges`] | RANG, and REST beyond 4 GiB |
//! | [`uploads`] | uploads that are cut off leave the old file whole |
//! | [`parts`] | interrupted uploads that are gone on with: the whole file or none, never a mixture |
//! | [`hostile`] | escapes, floods, bounces, port thieves |
//! | [`proxy`] | clients behind a proxy |
//! | [`logins`] | failed logins and bans |
//! | [`running`] | a server that is looked at, told to end sessions and given new settings while it runs |
//! | [`tls`] | AUTH TLS and implicit TLS: certificates, sessions, both kinds of connections |
//! | [`told`] | the events of a session |

mod client;
mod compressed;
mod digests;
mod hostile;
mod logins;
mod parts;
mod proxy;
mod ranges;
mod running;
mod site;
mod storages;
mod tls;
mod told;
mod transfers;
mod uploads;
mod verbs;
