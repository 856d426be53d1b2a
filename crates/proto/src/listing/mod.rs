//! Entries of directories: one type, writers for what the server sends, readers for what servers send.
//!
//! | file | what it is |
//! |---|---|
//! | `entry` | the one type |
//! | `facts`, `options` | what a client may choose: the facts of MLSx, and set; the options of `ls` |
//! | `write/` | LIST and NLST, MLST and MLSD as they are written |
//! | `read/` | listings as they are read, one file a dialect |
//!
//! Writers append to a buffer and allocate nothing for an entry. `now` is a time of the calendar, as the wall clock
//! tells it: lines of LIST leave out the year of what is recent.

mod entry;
mod facts;
mod options;
mod read;
mod write;

pub use entry::{Entry, EntryKind, Modified, Precision};
pub use facts::{Changes, Fact, FactSet};
pub use options::ListOptions;
pub use read::{Dialect, Listed, ListingReader, MAX_LISTING_LINE, Unreadable, parse, parse_facts};
pub use write::{write_facts, write_facts_line, write_heading, write_long, write_name};
