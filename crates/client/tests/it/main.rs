//! The client against servers: port21's own, one that others have written, and ones that do what a test says.

mod between;
mod chosen;
mod common;
mod cuts;
mod eyeballs;
mod files;
mod given_up;
mod memory;
mod names;
mod own;
mod phases;
mod pool;
mod proxies;
mod quirks;
mod secure;
mod sessions;
mod trees;
mod unftp;
