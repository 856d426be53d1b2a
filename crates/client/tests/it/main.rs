//! The client against servers: port21's own, one that others have written, and ones that do what a test says.

mod common;
mod eyeballs;
mod files;
mod names;
mod own;
mod pool;
mod proxies;
mod secure;
mod sessions;
mod unftp;
