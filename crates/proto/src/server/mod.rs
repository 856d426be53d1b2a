//! The server's side of one control connection.

mod action;

pub use action::*;
