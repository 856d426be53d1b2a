//! Listings as servers send them.
//!
//! | file | what it is |
//! |---|---|
//! | `reader` | bytes to lines to entries; which dialect a listing is in |
//! | `mlsx`, `unix`, `dos` | one dialect each: a line to an entry |
//! | `columns`, `when`, `size` | what they share |

mod columns;
mod dos;
mod mlsx;
mod reader;
mod size;
mod unix;
mod when;

pub use mlsx::parse_facts;
pub use reader::{Dialect, ListingReader, MAX_LISTING_LINE, Unreadable, parse};
