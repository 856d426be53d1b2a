//! The one table of the console's commands: names, arguments, help, and what they do.

use std::future::Future;
use std::pin::Pin;

use super::words::Words;
use super::{Console, Flow, files, session, settings, transfer};
use crate::exit::Fault;

/// A command of the console.
pub(super) struct Command {
    /// Its name; any beginning of it that no other command shares will do too.
    pub(super) name: &'static str,
    /// Other names.
    pub(super) aliases: &'static [&'static str],
    /// Its arguments.
    pub(super) syntax: &'static str,
    /// How many there may be.
    arguments: (usize, usize),
    /// What they name, for completion; the last one stands for all that follow.
    pub(super) completes: &'static [Completes],
    /// Whether it needs a session.
    pub(super) needs: Needs,
    /// What it does, in a sentence.
    pub(super) help: &'static str,
    /// Does it.
    pub(super) run: Run,
}

/// What an argument names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completes {
    /// A file on the server.
    Remote,
    /// A file here.
    Local,
    /// A command of the console.
    Command,
    /// Nothing that could be looked up.
    Nothing,
}

/// What a command needs to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing.
    Nothing,
    /// A session with a server. Such commands are recorded.
    Session,
    /// Nothing, but where there is a session the server is told. Such commands are recorded too.
    Either,
}

type Done<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Flow>> + 'a>>;
type Run = for<'a> fn(&'a mut Console, &'a Words) -> Done<'a>;

/// The command of this name, alias or unambiguous beginning.
pub(super) fn find(name: &str) -> Result<&'static Command, Fault> {
    let name = name.to_ascii_lowercase();
    let names = |command: &'static Command| command.aliases.iter().copied().chain([command.name]);
    if let Some(command) = COMMANDS.iter().find(|command| names(command).any(|full| full == name)) {
        return Ok(command);
    }
    let mut begun = COMMANDS.iter().filter(|command| names(command).any(|full| full.starts_with(&name)));
    match (begun.next(), begun.next()) {
        (Some(command), None) => Ok(command),
        (Some(_), Some(_)) => Err(Fault::usage("?Ambiguous command.")),
        (None, _) => Err(Fault::usage("?Invalid command.")),
    }
}

/// An error where a command has too few arguments or too many.
fn check(command: &Command, words: &Words) -> Result<(), Fault> {
    let (least, most) = command.arguments;
    if (least..=most).contains(&words.list.len()) {
        return Ok(());
    }
    Err(Fault::usage(format!("usage: {} {}", command.name, command.syntax).trim_end()))
}

const MANY: usize = usize::MAX;

macro_rules! commands {
    ($($name:literal $aliases:expr, $syntax:literal $least:literal..=$most:expr, $needs:ident,
       $completes:expr, $run:path, $help:literal;)*) => {
        /// All commands, in the order in which `help` lists them.
        pub(super) static COMMANDS: &[Command] = &[$(Command {
            name: $name,
            aliases: &$aliases,
            syntax: $syntax,
            arguments: ($least, $most),
            completes: &$completes,
            needs: Needs::$needs,
            help: $help,
            run: |console, words| Box::pin(async move {
                check(find($name)?, words)?;
                $run(console, words).await
            }),
        },)*];
    };
}

use Completes::{Command as Name, Local, Nothing as Other, Remote};

commands! {
    // Name, other names, arguments, how many, needs, completion, function, help
    "open" [], "HOST [PORT] | URL" 1..=2, Nothing, [Other], session::open, "connect to a server";
    "user" [], "NAME [PASSWORD [ACCOUNT]]" 1..=3, Session, [Other], session::user, "log in";
    "close" ["disconnect"], "" 0..=0, Session, [], session::close, "end the session";
    "bye" ["quit", "exit"], "" 0..=0, Nothing, [], session::bye, "end the session and the console";
    "dir" ["ls"], "[-OPTIONS] [PATH [LOCAL-FILE]]" 0..=MANY, Session, [Remote, Local], files::dir, "list a directory";
    "cd" [], "PATH" 1..=1, Session, [Remote], files::cd, "change the working directory of the server";
    "cdup" [], "" 0..=0, Session, [], files::cdup, "change to the directory above";
    "pwd" [], "" 0..=0, Session, [], files::pwd, "name the working directory of the server";
    "lcd" [], "[PATH]" 0..=1, Nothing, [Local], settings::lcd, "change the local directory; to the home without PATH";
    "lpwd" [], "" 0..=0, Nothing, [], settings::lpwd, "name the local directory";
    "get" ["recv"], "REMOTE-FILE [LOCAL-FILE]" 1..=2, Session, [Remote, Local], transfer::get,
        "download a file, to - for the screen";
    "mget" [], "REMOTE-FILE-OR-PATTERN..." 1..=MANY, Session, [Remote], transfer::mget, "download files";
    "reget" [], "REMOTE-FILE [LOCAL-FILE]" 1..=2, Session, [Remote, Local], transfer::reget,
        "download what is missing of a file";
    "put" ["send"], "LOCAL-FILE [REMOTE-FILE]" 1..=2, Session, [Local, Remote], transfer::put, "upload a file";
    "mput" [], "LOCAL-FILE-OR-PATTERN..." 1..=MANY, Session, [Local], transfer::mput, "upload files";
    "append" [], "LOCAL-FILE [REMOTE-FILE]" 1..=2, Session, [Local, Remote], transfer::append,
        "upload to the end of a file";
    "delete" [], "PATH" 1..=1, Session, [Remote], files::delete, "remove a file of the server";
    "mdelete" [], "PATH-OR-PATTERN..." 1..=MANY, Session, [Remote], files::mdelete, "remove files of the server";
    "mkdir" [], "PATH" 1..=1, Session, [Remote], files::mkdir, "make a directory on the server";
    "rmdir" [], "PATH" 1..=1, Session, [Remote], files::rmdir, "remove an empty directory of the server";
    "rename" [], "FROM TO" 2..=2, Session, [Remote], files::rename, "give a file of the server another name";
    "size" [], "PATH" 1..=1, Session, [Remote], files::size, "tell the size of a file of the server";
    "modtime" [], "PATH" 1..=1, Session, [Remote], files::modtime, "tell when a file of the server was changed";
    "ascii" [], "" 0..=0, Either, [], settings::ascii, "transfer text: line ends become those of this system";
    "binary" ["image"], "" 0..=0, Either, [], settings::binary, "transfer bytes as they are";
    "type" [], "[ascii|binary]" 0..=1, Either, [Other], settings::representation, "show or choose the type of transfers";
    "passive" [], "[on|off]" 0..=1, Nothing, [Other], settings::passive,
        "who opens data connections: we do (on), or the server does (off)";
    "hash" [], "" 0..=0, Nothing, [], settings::hash, "print # for each 1024 bytes transferred, or do not";
    "prompt" [], "" 0..=0, Nothing, [], settings::prompt, "ask before each file of mget, mput and mdelete, or do not";
    "verbose" [], "" 0..=0, Nothing, [], settings::verbose, "show the server's replies, or do not";
    "status" [], "" 0..=0, Nothing, [], settings::status, "show the session and the settings";
    "quote" [], "COMMAND" 1..=MANY, Session, [Other], session::quote, "send a line as it is";
    "site" [], "COMMAND" 1..=MANY, Session, [Other], session::site, "send SITE and a line";
    "help" ["?"], "[COMMAND]" 0..=1, Nothing, [Name], settings::help, "list the commands, or explain one";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = COMMANDS.iter().flat_map(|c| c.aliases.iter().copied().chain([c.name])).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn beginnings_that_the_fingers_know() {
        let name = |text| find(text).map(|command| command.name).map_err(|fault| fault.to_string());
        for (text, want) in [
            ("by", "bye"),
            ("qui", "bye"),
            ("ls", "dir"),
            ("DIR", "dir"),
            ("bin", "binary"),
            ("as", "ascii"),
            ("cd", "cd"),
            ("pass", "passive"),
            ("prom", "prompt"),
            ("del", "delete"),
            ("mk", "mkdir"),
            ("ren", "rename"),
            ("reg", "reget"),
            ("rec", "get"),
            ("?", "help"),
            ("u", "user"),
        ] {
            assert_eq!(name(text).as_deref(), Ok(want), "{text}");
        }
        for text in ["m", "s", "p", "re", "c"] {
            assert_eq!(name(text).unwrap_err(), "?Ambiguous command.", "{text}");
        }
        assert_eq!(name("xyz").unwrap_err(), "?Invalid command.");
    }

    #[test]
    fn every_command_has_help() {
        for command in COMMANDS {
            assert!(!command.help.is_empty() && !command.help.ends_with('.'), "{}", command.name);
            assert_eq!(command.arguments.1 == 0, command.syntax.is_empty(), "{}", command.name);
        }
    }
}
