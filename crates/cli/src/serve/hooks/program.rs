//! Running a hook's program.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Starts programs: here, or by whoever may do so where this process may not any more.
pub(super) trait Runner: Send + Sync {
    /// Runs a program (its path, then its arguments) with this on its standard input, to its end. Dropped, the program
    /// and all that it has started are killed.
    fn run<'a>(&'a self, program: &'a [String], input: &'a [u8]) -> Running<'a>;
}

/// A program that runs.
pub(super) type Running<'a> = Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + Send + 'a>>;

/// Programs as children of this process.
pub(super) struct Children;

impl Runner for Children {
    fn run<'a>(&'a self, program: &'a [String], input: &'a [u8]) -> Running<'a> {
        Box::pin(async move {
            let (name, arguments) = program.split_first().ok_or(io::ErrorKind::InvalidInput)?;
            let mut command = Command::new(name);
            command.args(arguments).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
            // What it complains of is beside the server's own log.
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit());
            let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
            let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
            if let Some(mut stdin) = child.stdin.take() {
                // A program that does not read it may end well for all that.
                let _ = stdin.write_all(input).await;
            }
            let status = child.wait().await;
            group.has_ended();
            status
        })
    }
}

/// The process group of a program: killed with it.
struct Group(Option<Pid>);

impl Group {
    /// Its leader was waited for: the number may be another's from now on.
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may just have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
