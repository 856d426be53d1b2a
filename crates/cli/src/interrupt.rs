//! ^C and SIGTERM: what ends a command before it is done.

use std::future::Future;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{Exit, Fault};

/// Runs the work of a command on a runtime of its own, until it is done or the user interrupts it. What was transferred in
/// part then has no whole name: exit code 6.
pub(crate) fn run_until_interrupted(work: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = work => done,
            what = interrupted() => Err(Fault::new(Exit::Interrupted, what?).into()),
        }
    });
    // A read from a terminal or a pipe may still be under way on a thread of its own: it is not waited for.
    runtime.shutdown_background();
    done
}

/// The runtime of a command: one thread is enough for one session.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

/// Waits for ^C or SIGTERM, and gives a word for it.
pub(crate) async fn interrupted() -> anyhow::Result<&'static str> {
    let mut term = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt.context("cannot wait for signals")?,
        _ = term.recv() => return Ok("terminated"),
    }
    Ok("interrupted")
}
