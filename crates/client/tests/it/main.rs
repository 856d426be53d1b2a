//! The client against servers: one that others have written, and ones that do what a test says.

mod common;
mod files;
mod names;
mod sessions;
mod unftp;
