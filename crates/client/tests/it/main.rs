//! The client against servers: port21's own, one that others have written, and ones that do what a test says.

mod common;
mod files;
mod names;
mod own;
mod secure;
mod sessions;
mod unftp;
