//! Listings of every dialect as they were saved, and what is read from them; and what holds for any bytes.
//!
//! The listings in `samples/` have the shapes that servers send (each reader's file names where they are known from), with
//! names of our own. The snapshots beside them are what is read: an entry a line, `-` before what names no file by a rule, `?`
//! before what cannot be read.

mod properties;
mod samples;
