//! The server's session machine, by transcripts on a virtual clock: no socket, no file, no waiting.

mod aborts;
mod bench;
mod data_channels;
mod files;
mod login;
mod order;
mod pace;
mod properties;
mod secrets;
mod time;
mod tls;
mod uploads;
