//! Listings as the server writes them.
//!
//! | file | what it is |
//! |---|---|
//! | `unix` | LIST and NLST |
//! | `mlsx` | MLST and MLSD |
//! | `put` | what they share: numbers and names |

mod mlsx;
mod put;
mod unix;

pub use mlsx::{write_facts, write_facts_line};
pub use unix::{write_heading, write_long, write_name};
