//! The client's session machine, by transcripts on a virtual clock: no socket, no file, no waiting.

mod aborts;
mod ahead;
mod commands;
mod data_channels;
mod events;
mod play;
mod properties;
mod tls;
mod transfers;
