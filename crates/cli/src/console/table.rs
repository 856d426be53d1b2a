//! The one table of the console's commands: names, arguments, help, and what they do.

use std::future::Future;
use std::pin::Pin;

use super::words::Words;
use super::{
    Console, Flow, about, ask, between, bookmarks, files, gate, jobs, list, local, macros, many, names, options, rates,
    session, settings, transfer, trees,
};
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
    pub(super) arguments: (usize, usize),
    /// What they name, for completion; the last one stands for all that follow.
    pub(super) completes: &'static [Completes],
    /// What it needs, and what kind of command it is.
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
    /// `on` or `off`.
    Switch,
    /// A bookmark.
    Bookmark,
    /// A macro.
    Macro,
    /// An option of `set`.
    Option,
    /// Nothing that could be looked up.
    Nothing,
}

/// What a command needs to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing.
    Nothing,
    /// Nothing, but where there is a session the server is told.
    Either,
    /// A session with a server.
    Session,
    /// A session, on which files or listings move.
    Transfer,
    /// As `Transfer`, and with `&` at its end it runs in the background.
    Job,
}

impl Needs {
    /// Whether there must be a session.
    pub(super) fn session(self) -> bool {
        matches!(self, Needs::Session | Needs::Transfer | Needs::Job)
    }

    /// Whether the line stands in a recording of the session.
    pub(super) fn is_recorded(self) -> bool {
        self.session() || self == Needs::Either
    }

    /// Whether the bell rings at its end.
    pub(super) fn rings(self) -> bool {
        matches!(self, Needs::Transfer | Needs::Job)
    }

    /// Whether it can run in the background.
    pub(super) fn may_be_job(self) -> bool {
        self == Needs::Job
    }
}

impl Command {
    /// All its names.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.aliases.iter().copied().chain([self.name])
    }

    /// How it is used, in a line.
    pub(super) fn usage(&self) -> String {
        format!("usage: {} {}", self.name, self.syntax).trim_end().to_owned()
    }

    /// An error where there are too few arguments or too many.
    pub(super) fn check(&self, words: &Words) -> Result<(), Fault> {
        let (least, most) = self.arguments;
        if (least..=most).contains(&words.list.len()) { Ok(()) } else { Err(Fault::usage(self.usage())) }
    }
}

type Done<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Flow>> + 'a>>;
type Run = for<'a> fn(&'a mut Console, &'a Words) -> Done<'a>;

/// The command of this name, alias or unambiguous beginning.
pub(super) fn find(name: &str) -> Result<&'static Command, Fault> {
    let name = name.to_ascii_lowercase();
    if let Some(command) = COMMANDS.iter().find(|command| command.names().any(|full| full == name)) {
        return Ok(command);
    }
    let mut begun = COMMANDS.iter().filter(|command| command.names().any(|full| full.starts_with(&name)));
    match (begun.next(), begun.next()) {
        (Some(command), None) => Ok(command),
        (Some(_), Some(_)) => Err(Fault::usage("?Ambiguous command.")),
        (None, _) => Err(Fault::usage("?Invalid command.")),
    }
}

const MANY: usize = usize::MAX;

macro_rules! commands {
    ($($name:literal $aliases:expr, $syntax:literal $least:literal..=$most:expr, $needs:ident,
       $completes:expr, $run:path, $help:literal;)*) => {
        /// All commands, by what they are for.
        pub(super) static COMMANDS: &[Command] = &[$(Command {
            name: $name,
            aliases: &$aliases,
            syntax: $syntax,
            arguments: ($least, $most),
            completes: &$completes,
            needs: Needs::$needs,
            help: $help,
            run: |console, words| Box::pin($run(console, words)),
        },)*];
    };
}

use Completes::{Bookmark, Command as Name, Local, Macro, Nothing as Other, Option as Setting, Remote, Switch};

commands! {
    // Name, other names, arguments, how many, needs, completion, function, help

    // Sessions
    "open" ["ftp"], "HOST [PORT] | URL | BOOKMARK" 1..=2, Nothing, [Bookmark, Other], session::open, "connect to a server";
    "user" [], "NAME [PASSWORD [ACCOUNT]]" 1..=3, Session, [Other], session::user, "log in";
    "account" [], "[PASSWORD]" 0..=1, Session, [], session::account, "send a further password, of an account (ACCT)";
    "close" ["disconnect"], "" 0..=0, Session, [], session::close, "end the session, and forget the macros";
    "bye" ["quit", "exit"], "" 0..=0, Nothing, [], session::bye, "end the session and the console";
    "gate" [], "[on|off|HOST [PORT]]" 0..=2, Nothing, [Switch, Other], gate::gate,
        "connect through an FTP gateway of the TIS kind (PASSERVE), or do not";
    "proxy" [], "COMMAND" 1..=MANY, Nothing, [Name, Remote], between::proxy,
        "run a command on a second session; get, put and their like go from server to server; proxy ? lists them";
    "bookmarks" ["bookmark"], "[add NAME [URL] | remove NAME]" 0..=3, Nothing, [Other, Bookmark], bookmarks::bookmarks,
        "list places that have a name, add one (the working directory without URL), or remove one";

    // Directories and files of the server
    "dir" ["ls"], "[-OPTIONS] [PATH [LOCAL-FILE]]" 0..=MANY, Transfer, [Remote, Local], list::dir, "list a directory";
    "nlist" [], "[PATH [LOCAL-FILE]]" 0..=2, Transfer, [Remote, Local], list::nlist, "list the names in a directory";
    "mdir" [], "PATH... LOCAL-FILE" 2..=MANY, Transfer, [Remote], list::mdir,
        "list several directories into a file, to - for the screen";
    "mls" [], "PATH... LOCAL-FILE" 2..=MANY, Transfer, [Remote], list::mls,
        "list the names in several directories into a file, to - for the screen";
    "mlsd" [], "[PATH]" 0..=1, Transfer, [Remote], list::mlsd, "list a directory as programs read it (MLSD)";
    "mlst" [], "[PATH]" 0..=1, Session, [Remote], ask::mlst, "tell of one file as programs read it (MLST)";
    "pdir" ["pls"], "[-OPTIONS] [PATH]" 0..=MANY, Transfer, [Remote], list::pdir, "list a directory through the pager";
    "pmlsd" [], "[PATH]" 0..=1, Transfer, [Remote], list::pmlsd, "list a directory as programs read it, through the pager";
    "cd" [], "PATH" 1..=1, Session, [Remote], files::cd, "change the working directory of the server";
    "cdup" [], "" 0..=0, Session, [], files::cdup, "change to the directory above";
    "pwd" [], "" 0..=0, Session, [], files::pwd, "name the working directory of the server";
    "delete" [], "PATH" 1..=1, Session, [Remote], files::delete, "remove a file of the server";
    "mdelete" [], "PATH-OR-PATTERN..." 1..=MANY, Session, [Remote], files::mdelete, "remove files of the server";
    "mkdir" [], "PATH" 1..=1, Session, [Remote], files::mkdir, "make a directory on the server";
    "rmdir" [], "PATH" 1..=1, Session, [Remote], files::rmdir, "remove an empty directory of the server";
    "rename" [], "FROM TO" 2..=2, Session, [Remote], files::rename, "give a file of the server another name";
    "chmod" [], "MODE PATH" 2..=2, Session, [Other, Remote], ask::chmod, "change the permissions of a file of the server";
    "size" [], "PATH" 1..=1, Session, [Remote], files::size, "tell the size of a file of the server";
    "modtime" [], "PATH" 1..=1, Session, [Remote], files::modtime, "tell when a file of the server was changed";
    "umask" [], "[MASK]" 0..=1, Session, [], ask::umask, "show or set which permissions new files of the server lack";

    // Transfers
    "get" ["recv"], "REMOTE-FILE [LOCAL-FILE]" 1..=2, Job, [Remote, Local], transfer::get,
        "download a file, to - for the screen, to |COMMAND for a command of the shell";
    "mget" [], "REMOTE-FILE-OR-PATTERN..." 1..=MANY, Job, [Remote], many::mget, "download files";
    "fget" [], "LIST-FILE" 1..=1, Job, [Local], many::fget, "download the files that a local file names, one on each line";
    "reget" [], "REMOTE-FILE [LOCAL-FILE]" 1..=2, Job, [Remote, Local], transfer::reget, "download what is missing of a file";
    "mreget" [], "REMOTE-FILE-OR-PATTERN..." 1..=MANY, Job, [Remote], many::mreget, "download what is missing of files";
    "newer" [], "REMOTE-FILE [LOCAL-FILE]" 1..=2, Transfer, [Remote, Local], transfer::newer,
        "download a file if it is newer than the local one";
    "pget" [], "[-n N] REMOTE-FILE [LOCAL-FILE]" 1..=4, Job, [Remote, Local], trees::pget,
        "download a file in N segments at once, over a connection each";
    "put" ["send"], "LOCAL-FILE [REMOTE-FILE]" 1..=2, Job, [Local, Remote], transfer::put,
        "upload a file, from - for standard input, from |COMMAND for what a command of the shell writes";
    "mput" ["msend"], "LOCAL-FILE-OR-PATTERN..." 1..=MANY, Job, [Local], many::mput, "upload files";
    "append" [], "LOCAL-FILE [REMOTE-FILE]" 1..=2, Transfer, [Local, Remote], transfer::append,
        "upload to the end of a file";
    "mirror" [], "[OPTIONS] SOURCE [TARGET]" 1..=MANY, Job, [Remote, Local], trees::mirror,
        "make a local directory what one of the server is, or with -R the other way round; mirror --help tells the options";
    "restart" [], "OFFSET" 1..=1, Session, [], transfer::restart, "begin the next get or put at this byte";
    "page" ["more", "less"], "REMOTE-FILE" 1..=1, Transfer, [Remote], transfer::page, "show a file of the server in the pager";
    "jobs" [], "[wait|kill [NUMBER]]" 0..=2, Nothing, [Other], jobs::jobs,
        "list the transfers in the background, wait for them, or end them";

    // Words with the server
    "quote" [], "COMMAND" 1..=MANY, Session, [Other], ask::quote, "send a line as it is";
    "site" [], "COMMAND" 1..=MANY, Session, [Other], ask::site, "send SITE and a line";
    "features" [], "" 0..=0, Session, [], ask::features, "show what the server can beyond the oldest FTP (FEAT)";
    "remopts" [], "COMMAND [OPTIONS]" 1..=MANY, Session, [Other], ask::remopts, "set options of a command at the server (OPTS)";
    "rhelp" [], "[COMMAND]" 0..=MANY, Session, [Other], ask::rhelp, "show the server's help";
    "rstatus" [], "[PATH]" 0..=1, Session, [Remote], ask::rstatus, "show the server's state, or that of a file (STAT)";
    "system" [], "" 0..=0, Session, [], ask::system, "show which system the server has";
    "idle" [], "[SECONDS]" 0..=1, Session, [], ask::idle, "show or set how long the server waits for a command";
    "reset" [], "" 0..=0, Session, [], ask::reset, "come into step with the server's replies again";

    // How transfers are done
    "ascii" [], "" 0..=0, Either, [], settings::ascii, "transfer text: line ends become those of this system";
    "binary" ["image"], "" 0..=0, Either, [], settings::binary, "transfer bytes as they are";
    "tenex" [], "" 0..=0, Session, [], settings::tenex, "transfer bytes as TENEX has them (TYPE L 8)";
    "type" [], "[ascii|binary|tenex]" 0..=1, Either, [Other], settings::representation, "show or choose the type of transfers";
    "form" [], "[FORMAT]" 0..=1, Nothing, [], settings::form, "show the format of texts: there is one, non-print";
    "mode" [], "[MODE]" 0..=1, Nothing, [], settings::mode, "show the mode of transfers: there is one, stream";
    "struct" [], "[STRUCTURE]" 0..=1, Nothing, [], settings::structure, "show the structure of files: there is one, file";
    "cr" [], "[on|off]" 0..=1, Nothing, [Switch], settings::cr, "strip carriage returns from texts, or do not";
    "passive" [], "[auto|on|off]" 0..=1, Nothing, [Switch], settings::passive,
        "who opens data connections: we do (on), or the server does (off); auto: we do, where the server can";
    "epsv4" ["epsv"], "[on|off]" 0..=1, Nothing, [Switch], settings::epsv4, "try EPSV before PASV over IPv4, or do not";
    "epsv6" [], "[on|off]" 0..=1, Nothing, [Switch], settings::epsv6, "use EPSV over IPv6, where there is no other way";
    "sendport" [], "[on|off]" 0..=1, Nothing, [Switch], settings::sendport, "tell the server where to connect to in active mode";
    "rate" ["throttle"], "all|get|put [MAXIMUM [INCREMENT]]" 1..=3, Nothing, [Other], rates::rate,
        "show or limit how many bytes a second go: 0 is no limit; SIGUSR1 and SIGUSR2 change it by INCREMENT";
    "sndbuf" [], "SIZE" 1..=1, Nothing, [], settings::sndbuf, "set the size of the buffer that is sent from";
    "rcvbuf" [], "SIZE" 1..=1, Nothing, [], settings::rcvbuf, "set the size of the buffer that is received into";
    "xferbuf" [], "SIZE" 1..=1, Nothing, [], settings::xferbuf, "set the size of both buffers";
    "preserve" [], "[on|off]" 0..=1, Nothing, [Switch], settings::preserve, "keep the times of downloaded files, or do not";

    // Names on their way
    "case" [], "[on|off]" 0..=1, Nothing, [Switch], settings::case, "give downloads whose names are all capitals small letters";
    "glob" [], "[on|off]" 0..=1, Nothing, [Switch], settings::glob, "take * ? [ ] in names for patterns, or do not";
    "nmap" [], "[INPATTERN OUTPATTERN]" 0..=MANY, Nothing, [], names::nmap, "change names by a pattern, or do not";
    "ntrans" [], "[INCHARS [OUTCHARS]]" 0..=2, Nothing, [], names::ntrans, "change characters of names, or do not";
    "runique" [], "[on|off]" 0..=1, Nothing, [Switch], settings::runique, "download to NAME.1 and so on where NAME is taken";
    "sunique" [], "[on|off]" 0..=1, Nothing, [Switch], settings::sunique, "have the server make up names of uploads (STOU)";

    // This side
    "lcd" [], "[PATH]" 0..=1, Nothing, [Local], local::lcd, "change the local directory; to the home without PATH";
    "lpwd" [], "" 0..=0, Nothing, [], local::lpwd, "name the local directory";
    "lpage" [], "LOCAL-FILE" 1..=1, Nothing, [Local], local::lpage, "show a local file in the pager";
    "!" [], "[COMMAND]" 0..=MANY, Nothing, [Local], local::command, "run a command of the shell, or a shell";

    // The console
    "macdef" [], "NAME" 1..=1, Nothing, [Macro], macros::macdef, "define a macro: the lines that follow, up to an empty one";
    "$" [], "NAME [ARGUMENT...]" 1..=MANY, Nothing, [Macro, Other], macros::run, "run a macro";
    "bell" [], "[on|off]" 0..=1, Nothing, [Switch], settings::bell, "ring the bell after each transfer, or do not";
    "debug" [], "[on|off|LEVEL]" 0..=1, Nothing, [Switch], settings::debug, "show the commands that are sent, or do not";
    "edit" [], "[on|off]" 0..=1, Nothing, [Switch], settings::edit, "edit and complete lines, or do not";
    "hash" [], "[on|off|SIZE]" 0..=1, Nothing, [Switch], settings::hash, "print # for each 1024 or SIZE bytes, or do not";
    "progress" [], "[on|off]" 0..=1, Nothing, [Switch], settings::progress, "show bars while files are transferred, or do not";
    "prompt" [], "[on|off]" 0..=1, Nothing, [Switch], settings::prompt, "ask before each file of mget, mput and mdelete, or do not";
    "trace" [], "[on|off]" 0..=1, Nothing, [Switch], settings::trace, "show connections as they come and go, or do not";
    "verbose" [], "[on|off]" 0..=1, Nothing, [Switch], settings::verbose, "show the server's replies, or do not";
    "set" [], "[OPTION VALUE]" 0..=MANY, Nothing, [Setting, Other], options::set,
        "show or set an option: anonpass, ftp_proxy, no_proxy, pager, prompt (with %/ %c %. %M %m %n %%)";
    "unset" [], "OPTION" 1..=1, Nothing, [Setting], options::unset, "take the value of an option away";
    "status" [], "" 0..=0, Nothing, [], about::status, "show the session and the settings";
    "usage" [], "COMMAND..." 1..=MANY, Nothing, [Name], about::usage, "show the arguments of a command";
    "help" ["?"], "[COMMAND...]" 0..=MANY, Nothing, [Name], about::help, "list the commands, or explain some";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands of tnftp, all of them.
    const OF_TNFTP: &str = "! $ account append ascii bell binary bye case cd cdup chmod close cr debug delete dir disconnect \
         edit epsv epsv4 epsv6 exit features fget form ftp gate get glob hash help idle image lcd less lpage lpwd ls macdef \
         mdelete mdir mget mkdir mls mlsd mlst mode modtime more mput mreget msend newer nlist nmap ntrans open page passive \
         pdir pls pmlsd preserve progress prompt proxy put pwd quit quote rate rcvbuf recv reget remopts rename reset restart \
         rhelp rmdir rstatus runique send sendport set site size sndbuf status struct sunique system tenex throttle trace type \
         umask unset usage user verbose xferbuf ?";

    #[test]
    fn every_command_of_tnftp_is_there_under_its_full_name() {
        for name in OF_TNFTP.split_whitespace().chain(["mirror", "pget", "jobs", "bookmarks"]) {
            assert!(COMMANDS.iter().any(|command| command.names().any(|other| other == name)), "{name}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = COMMANDS.iter().flat_map(Command::names).collect();
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
            ("use", "user"),
            ("mge", "mget"),
            ("o", "open"),
            ("he", "help"),
        ] {
            assert_eq!(name(text).as_deref(), Ok(want), "{text}");
        }
        for text in ["m", "s", "p", "re", "c", "us"] {
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
