//! The URL commands, one file each: `ls cat get put mkdir rm mv stat`; and listings that were saved, for `ls --parse`.

mod cat;
mod get;
mod ls;
mod mkdir;
mod mv;
mod put;
mod rm;
mod saved;
mod stat;

use port21_trace::recording::Recorder;

use crate::args::Command;
use crate::args::client::ConnectArgs;
use crate::exit::{Exit, report};
use crate::interrupt::run_until_interrupted;
use crate::record::Recording;
use crate::remote::{Place, Remote};

/// Runs a URL command. ^C and SIGTERM end it: what was transferred in part is left under no whole name.
pub(crate) fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Ls(args) if args.parse.is_some() => saved::run(&args),
        Command::Ls(args) => run_until_interrupted(ls::run(&args)),
        Command::Cat(args) => run_until_interrupted(cat::run(&args)),
        Command::Get(args) => run_until_interrupted(get::run(&args)),
        Command::Put(args) => run_until_interrupted(put::run(&args)),
        Command::Mkdir(args) => run_until_interrupted(mkdir::run(&args)),
        Command::Rm(args) => run_until_interrupted(rm::run(&args)),
        Command::Mv(args) => run_until_interrupted(mv::run(&args)),
        Command::Stat(args) => run_until_interrupted(stat::run(&args)),
        _ => anyhow::bail!("not a URL command"),
    }
}

/// The places that the URLs name, all of them read before anything is done.
fn places(urls: &[String]) -> anyhow::Result<Vec<Place>> {
    urls.iter().map(|url| Place::parse(url)).collect()
}

fn remote(args: &ConnectArgs) -> anyhow::Result<Remote<'_>> {
    Ok(Remote::new(args, Recording::begin(args.trace.as_deref(), Recorder::Client)?))
}

/// Keeps the exit code of the first failure while the work goes on with what is left.
struct Outcome(Exit);

impl Outcome {
    fn new() -> Outcome {
        Outcome(Exit::Done)
    }

    fn add(&mut self, done: anyhow::Result<()>) {
        if let Err(error) = done {
            let exit = report(&error);
            if self.0 == Exit::Done {
                self.0 = exit;
            }
        }
    }
}
