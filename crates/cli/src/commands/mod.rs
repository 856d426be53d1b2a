//! The URL commands, one file each: `ls cat get put mirror mkdir rm mv stat`; listings that were saved,
//! for `ls --parse`; and what is told of transfers while they run (`teller`).

mod cat;
mod get;
mod ls;
pub(crate) mod mirror;
mod mkdir;
mod mv;
mod put;
mod rm;
mod saved;
mod stat;
mod teller;

use port21_client::{BatchOptions, Parallel, Rate, Retry, Verify};
use port21_trace::recording::Recorder;

use crate::args::Command;
use crate::args::client::{ConnectArgs, TransferArgs, VerifyBy};
use crate::exit::{Exit, Fault, report};
use crate::interrupt::run_until_interrupted;
use crate::place::Place;
use crate::record::Recording;
use crate::remote::Remote;

/// Runs a URL command. ^C and SIGTERM end it: what was transferred in part is left under no whole name.
pub(crate) fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Ls(args) if args.parse.is_some() => saved::run(&args),
        Command::Ls(args) => run_until_interrupted(ls::run(&args)),
        Command::Cat(args) => run_until_interrupted(cat::run(&args)),
        Command::Get(args) => run_until_interrupted(get::run(&args)),
        Command::Put(args) => run_until_interrupted(put::run(&args)),
        Command::Mirror(args) => run_until_interrupted(mirror::run(&args)),
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

/// How files are transferred, as the flags say. Where the session is recorded there is one: a recording tells of one.
fn batch_options(
    transfer: &TransferArgs,
    connect: &ConnectArgs,
    parallel: Parallel,
    is_recorded: bool,
) -> anyhow::Result<BatchOptions> {
    let mut retry = Retry::default();
    if let Some(attempts) = connect.retry {
        (retry.attempts, retry.connect) = (attempts, attempts);
    }
    if transfer.limit_rate.is_some_and(|rate| rate.0 == 0) {
        anyhow::bail!(Fault::usage("--limit-rate: nothing would ever come at 0 bytes a second"));
    }
    Ok(BatchOptions {
        parallel: if is_recorded { Parallel::Sessions(1) } else { parallel },
        retry,
        keep_time: !transfer.no_times && !connect.no_probe,
        verify: match transfer.verify {
            Some(VerifyBy::Digest) => Verify::Digest,
            Some(VerifyBy::None) => Verify::Nothing,
            Some(VerifyBy::Size) => Verify::Cheaply,
            None if connect.no_probe => Verify::Nothing,
            None => Verify::Cheaply,
        },
        rate: transfer.limit_rate.map(|rate| Rate::new(rate.0)),
        ..BatchOptions::default()
    })
}

/// Keeps the exit code of the first failure while the work goes on with what is left.
struct Outcome(Exit);

impl Outcome {
    fn new() -> Outcome {
        Outcome(Exit::Done)
    }

    fn add(&mut self, done: anyhow::Result<()>) {
        self.add_exit(done.map(|()| Exit::Done));
    }

    /// As [`Outcome::add`], of work that has told its failures itself.
    fn add_exit(&mut self, done: anyhow::Result<Exit>) {
        let exit = done.unwrap_or_else(|error| report(&error));
        if self.0 == Exit::Done {
            self.0 = exit;
        }
    }
}
