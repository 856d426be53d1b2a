//! The command line: what may be written, and the help for it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`client`] | the URL commands and the console, and the flags they share |
//! | [`serve`] | `serve` and `config`; `status`, `reload`, `kick` and `unban` |
//! | [`user`] | `user` |
//! | [`trace`] | `trace` and `demo` |

pub(crate) mod client;
pub(crate) mod serve;
pub(crate) mod trace;
pub(crate) mod user;

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand};

use crate::exit::Exit;

/// FTP you can see: serve, transfer and draw FTP sessions.
#[derive(Debug, Parser)]
#[command(name = "port21", version, about, max_term_width = 100, after_help = after_help())]
pub(crate) struct Args {
    /// Say only what went wrong.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Everywhere")]
    pub(crate) quiet: bool,
    /// Say more; twice: everything.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Everywhere")]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands, in the order in which the help lists them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The reference session, for real, on this machine: runs it, checks it, draws it.
    Demo(trace::DemoArgs),
    /// Serve a directory over FTP.
    Serve(Box<serve::ServeArgs>),
    /// The server's own second process.
    #[command(hide = true)]
    Helper(Box<serve::ServeArgs>),
    /// The interactive console that the user of BSD ftp knows; a script where standard input is no terminal.
    #[command(visible_alias = "ftp")]
    Shell(client::ShellArgs),
    /// List directories.
    Ls(client::LsArgs),
    /// Write files to standard output.
    Cat(client::CatArgs),
    /// Download files, several at once, or each in segments; with -r directories.
    Get(Box<client::GetArgs>),
    /// Upload files; with -r directories.
    Put(Box<client::PutArgs>),
    /// Make a directory here what one of a server is, or the other way round, and transfer only what differs.
    Mirror(Box<client::MirrorArgs>),
    /// Make directories.
    Mkdir(client::MkdirArgs),
    /// Remove files; with -r directories and all that is in them.
    Rm(client::RmArgs),
    /// Rename or move a file or directory within its server.
    Mv(client::MvArgs),
    /// Show what the server tells of a file.
    Stat(client::StatArgs),
    /// Try each step of a session against a server, and tell which one fails, why, and what to change.
    Doctor(Box<client::DoctorArgs>),
    /// Draw recordings of sessions as sequence diagrams.
    Trace(trace::TraceArgs),
    /// Accounts: add, list, change and remove them.
    #[command(subcommand)]
    User(user::UserCommand),
    /// The server's configuration: its documented default, and a check of a file.
    #[command(subcommand)]
    Config(serve::ConfigCommand),
    /// Show who is on a running server, what moves and how fast.
    Status(serve::StatusArgs),
    /// Let a running server read its configuration anew, as a whole or not at all, without dropping a session.
    Reload(serve::ReloadArgs),
    /// End sessions of a running server.
    Kick(serve::KickArgs),
    /// Lift the bans of an address or from an account of a running server.
    Unban(serve::UnbanArgs),
    /// Print the completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man {
        /// Write a page for each command into this directory instead.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

fn after_help() -> String {
    let codes: Vec<String> = Exit::TABLE.iter().map(|(exit, what)| format!("{} {what}", *exit as u8)).collect();
    format!("Exit codes: {}.\n\n{ENVIRONMENT}", codes.join(" · "))
}

const ENVIRONMENT: &str = "\
Environment: NO_COLOR; PORT21_PASSWORD, the password of client commands, and of `user add` and `user passwd`; NETRC, \
in place of ~/.netrc; PORT21_SOCKET, the local socket of a running server; RUST_LOG.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    pub(crate) fn parse(line: &str) -> Result<Command, clap::Error> {
        Args::try_parse_from(std::iter::once("port21").chain(line.split_whitespace())).map(|args| args.command)
    }

    #[test]
    fn the_definition_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_help_tells_the_exit_codes() {
        assert!(after_help().starts_with("Exit codes: 0 done · 1 local error · 2 usage · 3 cannot"));
    }

    #[test]
    fn every_command_and_flag_has_help() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for arg in command.get_arguments().filter(|a| !a.is_hide_set()) {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Args::command());
    }

    #[test]
    fn the_console_goes_by_the_name_of_ftp() {
        assert!(matches!(parse("ftp"), Ok(Command::Shell(args)) if args.url.is_none()));
        assert!(matches!(parse("shell ftp://h/ --active"), Ok(Command::Shell(args)) if args.connect.active));
    }

    #[test]
    fn quiet_and_verbose_exclude_each_other() {
        assert!(Args::try_parse_from(["port21", "-q", "-v", "shell"]).is_err());
        assert_eq!(Args::try_parse_from(["port21", "shell", "-vv"]).unwrap().verbose, 2);
    }
}
