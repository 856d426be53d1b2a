//! Bytes between sockets and files, as the kernel moves them best, for either end of a connection.
//!
//! | module | what it is |
//! |---|---|
//! | `buffer` | [`Buffer`]: memory that is filled and emptied at full speed |
//! | `pipe` | [`Pipe`]: from a socket to a file, without passing through the process (Linux) |
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
#[cfg(target_os = "linux")]
mod pipe;

pub use self::buffer::Buffer;
#[cfg(target_os = "linux")]
pub use self::pipe::{Pipe, ROOM};
