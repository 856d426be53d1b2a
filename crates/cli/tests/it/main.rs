//! The binary as its users run it: arguments in; files, output and exit codes out.

mod authenticator;
mod broken;
mod commands;
mod config;
mod console;
mod demo;
mod doctor;
mod findings;
mod follow;
mod hostile;
mod hosts;
mod listings;
mod operations;
mod sandbox;
mod scripted;
mod serve;
mod support;
mod terminal;
mod trace;
mod trees;
mod uploads;
mod users;
mod view;
