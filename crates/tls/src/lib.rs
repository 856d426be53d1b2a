//! TLS without a socket: ciphertext in, plaintext out, and the other way round, for either end of a connection.
//!
//! rustls's unbuffered interface leaves the buffers to its user. That is what FTP needs. What follows close_notify stays
//! where it is, untouched, for it may be clear text (CCC, RFC 4217 section 12); a connection that waits need hold no
//! buffer; one that moves data reads into one that is as large as it likes, and gets its plaintext without a copy between.
//!
//! | module | what it is |
//! |---|---|
//! | `engine` | [`Engine`]: one connection: its records, its end, and what goes wrong |
//! | `side` | [`Side`]: which end of it this is, and how it words a [`Fault`] |
//! | `buffer` | bytes that are put in at the end and taken out at the beginning |
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

mod buffer;
mod engine;
mod side;

pub use self::engine::Engine;
pub use self::side::{Fault, Side};
