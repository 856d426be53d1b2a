//! What the helper does, or the server itself where there is no sandbox.

use std::fmt;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::SystemTime;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::task::spawn_blocking;

/// The most bytes of a file: configurations, accounts and certificates are small.
pub(super) const MAX_FILE: u64 = 8 * 1024 * 1024;

/// The most bytes of what a program writes to its standard output.
const MAX_OUTPUT: u64 = 64 * 1024;

/// A program that was run to its end.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    status: i32,
    output: String,
}

impl Ended {
    /// How it has ended.
    pub(crate) fn status(&self) -> ExitStatus {
        ExitStatus::from_raw(self.status)
    }

    /// What it has written to its standard output, up to 64 KiB.
    pub(crate) fn output(&self) -> &str {
        &self.output
    }
}

impl fmt::Debug for Ended {
    /// Without the output, which is nobody's business but the asker's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ended").field(&self.status()).finish()
    }
}

/// As whom programs run.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunAs {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Reads a file of text.
pub(super) async fn read(path: PathBuf) -> io::Result<String> {
    spawn_blocking(move || read_and_wait(&path)).await.map_err(io::Error::other)?
}

/// As [`read`], on a thread that may wait.
pub(super) fn read_and_wait(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}

/// What tells one state of a file from another without reading it: a rename brings another inode, a write another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: SystemTime,
    /// Of the inode, which nobody can set: seconds and nanoseconds.
    changed: (i64, i64),
    /// The bits of its mode.
    mode: u32,
}

impl Stamp {
    /// The bits of its mode.
    pub(crate) fn mode(&self) -> u32 {
        self.mode
    }

    /// When it was last written to.
    pub(crate) fn modified(&self) -> SystemTime {
        self.modified
    }
}

/// Looks at a file.
pub(super) async fn look(path: PathBuf) -> io::Result<Stamp> {
    spawn_blocking(move || look_and_wait(&path)).await.map_err(io::Error::other)?
}

/// As [`look`], on a thread that may wait.
pub(super) fn look_and_wait(path: &Path) -> io::Result<Stamp> {
    let facts = std::fs::metadata(path)?;
    Ok(Stamp {
        device: facts.dev(),
        inode: facts.ino(),
        size: facts.len(),
        modified: facts.modified()?,
        changed: (facts.ctime(), facts.ctime_nsec()),
        mode: facts.mode(),
    })
}

/// Looks up the addresses of a host.
pub(super) async fn resolve(host: String) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((host, 0)).await?.map(|addr| addr.ip().to_canonical()).collect())
}

/// Runs a program (its path, then its arguments) to its end, as somebody else where that is said. What it writes is taken
/// only where it is asked for: then it has not ended before everything that it has started has closed its output too.
pub(super) async fn run(program: &[String], input: &str, answers: bool, run_as: Option<RunAs>) -> io::Result<Ended> {
    let (name, arguments) = program.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(name);
    command.args(arguments).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
    if let Some(RunAs { uid, gid }) = run_as {
        command.uid(uid).gid(gid);
    }
    // What it complains of is beside the server's own log.
    let stdout = if answers { Stdio::piped() } else { Stdio::null() };
    command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::inherit());
    let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read it may end well for all that.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let collect = async {
        let mut output = Vec::new();
        if let Some(mut stdout) = stdout {
            (&mut stdout).take(MAX_OUTPUT).read_to_end(&mut output).await?;
            // It must not hang on what nobody reads.
            tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await?;
        }
        io::Result::Ok(output)
    };
    let ((), output, status) = tokio::join!(feed, collect, child.wait());
    group.has_ended();
    Ok(Ended { status: status?.into_raw(), output: String::from_utf8_lossy(&output?).into_owned() })
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
