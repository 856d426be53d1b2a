//! TLS on real sockets, against the client of rustls.
//!
//! | module | what it is |
//! |---|---|
//! | [`client`] | a client that speaks FTP over TLS, and makes mistakes when it is told to |
//! | [`control`] | AUTH and its barrier, implicit TLS, CCC, REIN, ALPN, old clients |
//! | [`data`] | data connections: sessions that belong together, ends that are none |
//! | [`handshakes`] | when a data connection's handshake is done |
//! | [`certificates`] | the server's by name and anew, the client's |
//! | [`everyday`] | what a client does all day, in both versions |

mod certificates;
mod client;
mod control;
mod data;
mod everyday;
mod handshakes;
