//! `port21`: FTP you can see. Arguments to library calls, and the console.
//!
//! | module | what it is |
//! |---|---|
//! | [`args`] | the command line |
//! | [`exit`] | exit codes, and errors that carry one |
//! | [`commands`] | `ls cat get put mirror mkdir rm mv stat` |
//! | [`console`] | `shell`: the interactive console, and scripts |
//! | [`doctor`] | `doctor`: each step of a session tried on its own, and why it fails |
//! | [`serve`], [`config`] | the server, and its settings |
//! | [`users`] | accounts, in `users.toml` |
//! | [`sandbox`], [`helper`] | what the server gives up before it serves, and the process that still has it |
//! | [`trace`] | recordings to drawings |
//! | [`demo`] | the reference session |
//! | [`place`], [`remote`], [`record`] | what a URL names, from it and the flags to a session, and the recording of that |
//! | [`netrc`], [`prompt`], [`progress`], [`units`], [`text`] | logins, questions, progress, values in words |
//! | [`interrupt`] | ^C and SIGTERM |
#![forbid(unsafe_code)]

mod alike;
mod args;
mod commands;
mod config;
mod console;
mod control;
mod demo;
mod doctor;
mod exit;
mod helper;
mod interrupt;
mod netrc;
mod place;
mod progress;
mod prompt;
mod proxy;
mod record;
mod remote;
mod sandbox;
mod serve;
mod text;
mod trace;
mod units;
mod users;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};
use tracing_subscriber::EnvFilter;

use crate::args::serve::ConfigCommand;
use crate::args::{Args, Command};
use crate::exit::Exit;

fn main() -> ExitCode {
    let args = Args::parse();
    let level = level(&args);
    // The server's log is as its configuration says.
    if !matches!(args.command, Command::Serve(_)) {
        start_log(level.unwrap_or("warn"));
    }
    let exit = match run(args.command, level) {
        Ok(exit) => exit,
        Err(error) => exit::report(&error),
    };
    exit.into()
}

fn run(command: Command, level: Option<&str>) -> anyhow::Result<Exit> {
    match command {
        Command::Config(ConfigCommand::Default) => print(config::DEFAULT_FILE),
        Command::Config(ConfigCommand::Check { file }) => {
            serve::findings::check(&file)?;
            print(&format!("{}: no mistakes; `port21 serve --check` tells what would be exposed\n", file.display()))
        }
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "port21", &mut out);
            print(&String::from_utf8_lossy(&out))
        }
        Command::Man { out: None } => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Args::command()).render(&mut page)?;
            print(&String::from_utf8_lossy(&page))
        }
        Command::Man { out: Some(dir) } => write_pages(&dir),
        Command::Shell(args) => console::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::User(command) => users::command::run(command),
        Command::Serve(args) => serve::run(*args, level),
        Command::Status(args) => control::status(&args),
        Command::Reload(args) => control::reload(&args),
        Command::Kick(args) => control::kick(&args),
        Command::Unban(args) => control::unban(&args),
        Command::Helper(args) => helper::run(&args),
        Command::Demo(args) => demo::run(&args),
        command => commands::run(command),
    }
}

/// How much is said, where the flags say so.
fn level(args: &Args) -> Option<&'static str> {
    match (args.quiet, args.verbose) {
        (true, _) => Some("error"),
        (_, 0) => None,
        (_, 1) => Some("info,port21=debug,port21_server=debug,port21_client=debug"),
        _ => Some("debug,port21=trace,port21_server=trace,port21_client=trace"),
    }
}

/// Messages go to standard error, so that what a command prints can be piped.
fn start_log(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // It would tell of a standard error that is closed by a panic.
    let log = log.log_internal_errors(false);
    let log =
        log.with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()));
    log.without_time().init();
}

/// Writes a text to standard output, whole.
fn print(text: &str) -> anyhow::Result<Exit> {
    print_bytes(text.as_bytes())
}

/// Writes what may be no text to standard output, whole.
fn print_bytes(bytes: &[u8]) -> anyhow::Result<Exit> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).context("cannot write to standard output")?;
    Ok(Exit::Done)
}

fn write_pages(dir: &Path) -> anyhow::Result<Exit> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    clap_mangen::generate_to(Args::command(), dir).with_context(|| format!("cannot write to {}", dir.display()))?;
    Ok(Exit::Done)
}
