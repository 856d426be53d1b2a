//! Commands that transfer one file, and what those over many have in common with them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, bail};
use port21_client::{
    Batch, BatchOptions, DataMode, Error, Item, Parallel, Phase, Progress, PutOptions, Representation, Retry, Upload,
};
use port21_proto::text::Shown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::names::unique;
use super::reporter::{Left, Reporter};
use super::sink::{Place, Sink, shell};
use super::words::Words;
use super::{Console, Flow, between};
use crate::exit::{Exit, Fault};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// The files of one command, and which way they go.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) upload: bool,
    /// What is there already is gone on with.
    pub(super) resume: bool,
    pub(super) files: Vec<OneFile>,
}

/// A file on both sides.
#[derive(Clone, Debug)]
pub(super) struct OneFile {
    pub(super) remote: Vec<u8>,
    pub(super) local: PathBuf,
    /// Its size, where a listing has told it.
    pub(super) size: Option<u64>,
}

pub(super) async fn get(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    fetch(console, words, false).await
}

pub(super) async fn reget(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    fetch(console, words, true).await
}

/// `newer REMOTE [LOCAL]`: only where the server's file is newer, or there is none here.
pub(super) async fn newer(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let remote = words.first().as_bytes().to_vec();
    let local = local_target(console, &remote, words.list.get(1))?;
    if let Place::File(local) = &local
        && let Ok(facts) = std::fs::metadata(local)
    {
        let there = console.client()?.mtime(&remote).await?;
        let here = facts.modified().with_context(|| local.display().to_string())?;
        if here >= SystemTime::from(there) {
            let (here, there) = (Shown(local.as_os_str().as_bytes()), Shown(&remote));
            console.out.line(format_args!("Local file \"{here}\" is newer than remote file \"{there}\"."));
            return Ok(Flow::Continue);
        }
    }
    fetch(console, words, false).await
}

/// `page FILE`: through the pager.
pub(super) async fn page(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let pager = Place::Shell(console.pager());
    to_sink(console, words.first(), pager, None).await
}

/// `restart OFFSET`: where the next get or put begins.
pub(super) async fn restart(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let offset = words.first().parse();
    console.restart = offset.map_err(|_| Fault::usage(format!("{} is no number of bytes", words.first())))?;
    console
        .out
        .line(format_args!("Restarting at {}. Execute get, put or append to initiate transfer", console.restart));
    Ok(Flow::Continue)
}

async fn fetch(console: &mut Console, words: &Words, resume: bool) -> anyhow::Result<Flow> {
    let remote = words.first();
    if console.proxying {
        return between::get(console, words, resume).await;
    }
    let offset = std::mem::take(&mut console.restart);
    match local_target(console, remote.as_bytes(), words.list.get(1))? {
        Place::File(local) if offset > 0 => from_offset(console, remote, &local, offset).await,
        Place::File(local) => {
            let file = OneFile { remote: remote.as_bytes().to_vec(), local, size: None };
            console.carry(Load { upload: false, resume, files: vec![file] }, words).await
        }
        _ if words.background => bail!(Fault::usage("what goes to the screen or a command is for the foreground")),
        place => {
            let local = words.list.get(1).cloned().unwrap_or_default();
            to_sink(console, remote, place, Some(local.into())).await
        }
    }
}

/// Where a download goes: as the user says, into the directory that he names, else to the name that the settings make of the
/// server's.
fn local_target(console: &Console, remote: &[u8], word: Option<&String>) -> anyhow::Result<Place> {
    match word.map(|word| Place::of(console, word)).transpose()? {
        Some(Place::File(local)) if !local.is_dir() => Ok(Place::File(local)),
        Some(Place::File(directory)) => Ok(Place::File(name_here(console, &directory, remote)?)),
        Some(place) => Ok(place),
        None => Ok(Place::File(name_here(console, &console.local, remote)?)),
    }
}

/// The place here of a file of the server, in this directory.
pub(super) fn name_here(console: &Console, directory: &Path, remote: &[u8]) -> anyhow::Result<PathBuf> {
    let name = console.settings.names.here(base_name(remote)?)?;
    let path = directory.join(OsStr::from_bytes(&name));
    if console.settings.unique_here { unique(path, &Default::default()) } else { Ok(path) }
}

/// Sends a file of the server to the screen or to a command, and tells of it where that is a transfer by the user's own word for
/// its target.
async fn to_sink(console: &mut Console, remote: &str, place: Place, told: Option<PathBuf>) -> anyhow::Result<Flow> {
    let offset = std::mem::take(&mut console.restart);
    let (rate, here) = (console.settings.rates.get.rate.clone(), console.here());
    let told = told.map(|local| {
        let reporter = Reporter::of_stream(console);
        reporter.began(&local, remote.as_bytes());
        (reporter, Item { id: 1, remote: remote.into(), local, size: None })
    });
    let begun = Instant::now();
    let mut stream = console.client()?.download(remote, offset).await?;
    let mut sink = Sink::open(&here, place, false)?;
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    loop {
        let n = stream.read(&mut buffer).await.context("the transfer broke off")?;
        if n == 0 {
            break;
        }
        if let Some(rate) = &rate {
            rate.pay(n).await;
        }
        if !sink.write(buffer.get(..n).unwrap_or_default()).await? {
            // The pager was left: that is how most files are read.
            stream.abort().await?;
            sink.end().await?;
            return Ok(Flow::Continue);
        }
        done += n as u64;
        if let Some((reporter, item)) = &told {
            reporter.moved(item, Progress { done, total: None });
        }
    }
    stream.finish().await?;
    sink.end().await?;
    if let Some((reporter, item)) = told {
        reporter.done(&item, done, begun.elapsed());
        reporter.end()?;
    }
    Ok(Flow::Continue)
}

/// `restart` and `get`: the file here is written from that byte on.
async fn from_offset(console: &mut Console, remote: &str, local: &Path, offset: u64) -> anyhow::Result<Flow> {
    if console.representation == Some(Representation::Ascii) {
        bail!(Fault::usage("a transfer in the ASCII type cannot begin in the midst of a file: use binary"));
    }
    let named = || local.display().to_string();
    let mut file = File::options().write(true).open(local).with_context(named)?;
    let there = file.metadata().with_context(named)?.len();
    if there < offset {
        bail!(Fault::new(Exit::Local, format!("{} has {there} bytes, not {offset}: it would have a gap", named())));
    }
    file.seek(SeekFrom::Start(offset)).with_context(named)?;
    let reporter = Reporter::new(console, false);
    let item = Item { id: 1, remote: remote.into(), local: local.to_owned(), size: None };
    let rate = console.settings.rates.get.rate.clone();
    let begun = Instant::now();
    reporter.began(local, remote.as_bytes());
    let mut stream = console.client()?.download(remote, offset).await?;
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    loop {
        let n = stream.read(&mut buffer).await.context("the transfer broke off")?;
        if n == 0 {
            break;
        }
        if let Some(rate) = &rate {
            rate.pay(n).await;
        }
        file.write_all(buffer.get(..n).unwrap_or_default()).with_context(named)?;
        done += n as u64;
        reporter.moved(&item, Progress { done: offset + done, total: None });
    }
    stream.finish().await?;
    file.set_len(offset + done).with_context(named)?;
    reporter.done(&item, done, begun.elapsed());
    reporter.end()?;
    Ok(Flow::Continue)
}

pub(super) async fn put(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let offset = std::mem::take(&mut console.restart);
    let how = match offset {
        0 if console.settings.unique_there => Upload::Unique,
        0 => Upload::Whole,
        offset => Upload::From(offset),
    };
    send_words(console, words, how).await
}

pub(super) async fn append(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    console.restart = 0;
    send_words(console, words, Upload::Append).await
}

async fn send_words(console: &mut Console, words: &Words, how: Upload) -> anyhow::Result<Flow> {
    if console.proxying {
        return between::put(console, words, how).await;
    }
    let remote = words.list.get(1).map(|word| word.as_bytes().to_vec());
    let place = Place::of(console, words.first())?;
    let named = || Fault::usage("what has no name here needs one at the server: put FILE REMOTE-FILE");
    match place {
        Place::File(local) => {
            let remote = match remote {
                Some(remote) => remote,
                None => console.settings.names.there(file_name(&local)?)?,
            };
            plain_file(&local)?;
            let file = OneFile { remote, local, size: None };
            match how {
                Upload::Whole => console.carry(Load { upload: true, resume: false, files: vec![file] }, words).await,
                _ if words.background => bail!(Fault::usage("only whole files are sent in the background")),
                how => send(console, &file, how).await,
            }
        }
        _ if words.background => bail!(Fault::usage("only files are sent in the background")),
        // `-`: what standard input holds, read by a program that can be left alone.
        Place::Standard if !console.owns_input => bail!(Fault::usage("standard input holds the script")),
        Place::Standard => from_command(console, "cat", &remote.ok_or_else(named)?, how).await,
        Place::Shell(command) => from_command(console, &command, &remote.ok_or_else(named)?, how).await,
    }
}

/// A directory or a FIFO would be opened, and then not be read as a file is.
pub(super) fn plain_file(local: &Path) -> Result<(), Fault> {
    if local.is_file() {
        return Ok(());
    }
    let why = if local.exists() { "not a plain file" } else { "no such file" };
    Err(Fault::new(Exit::Local, format!("{}: {why}", local.display())))
}

/// Sends one file in another way than as a whole.
pub(super) async fn send(console: &mut Console, file: &OneFile, how: Upload) -> anyhow::Result<Flow> {
    let reporter = Reporter::new(console, true);
    let item = Item { id: 1, remote: file.remote.clone(), local: file.local.clone(), size: file.size };
    let options = PutOptions { how, rate: console.settings.rates.put.rate.clone(), ..PutOptions::default() };
    let begun = Instant::now();
    reporter.began(&file.local, &file.remote);
    let mut moved = |progress| reporter.moved(&item, progress);
    let done = console.client()?.put_file(&file.local, &file.remote, &options, &mut moved).await?;
    reporter.done(&item, done.bytes, begun.elapsed());
    reporter.end()?;
    Ok(Flow::Continue)
}

/// Sends what a command writes. Where it fails the upload is aborted: the end of what it has written is not the end of the
/// file.
async fn from_command(console: &mut Console, command: &str, remote: &[u8], how: Upload) -> anyhow::Result<Flow> {
    let reporter = Reporter::new(console, true);
    let item = Item { id: 1, remote: remote.to_vec(), local: command.into(), size: None };
    let mut process = shell(&console.here(), command);
    let mut child = process.stdout(Stdio::piped()).kill_on_drop(true).spawn().context("cannot run a shell")?;
    let mut output = child.stdout.take().context("the shell has no output")?;
    let rate = console.settings.rates.put.rate.clone();
    let begun = Instant::now();
    let mut stream = console.client()?.upload(remote, how).await?;
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    loop {
        let n = output.read(&mut buffer).await.with_context(|| format!("|{command}"))?;
        if n == 0 {
            break;
        }
        if let Some(rate) = &rate {
            rate.pay(n).await;
        }
        stream.write_all(buffer.get(..n).unwrap_or_default()).await.context("the transfer broke off")?;
        done += n as u64;
        reporter.moved(&item, Progress { done, total: None });
    }
    let status = child.wait().await.with_context(|| format!("|{command}"))?;
    if !status.success() {
        stream.abort().await?;
        bail!(Fault::new(Exit::Local, format!("|{command}: {status}: nothing was stored")));
    }
    stream.finish().await?;
    reporter.done(&item, done, begun.elapsed());
    reporter.end()?;
    Ok(Flow::Continue)
}

impl Console {
    /// Transfers the files of a command: on the console's own session, or in the background over one of its own.
    pub(super) async fn carry(&mut self, load: Load, words: &Words) -> anyhow::Result<Flow> {
        if words.background {
            return self.carry_behind(load, words, 1).await;
        }
        let reporter = Arc::new(Reporter::new(self, load.upload));
        let done = self.carry_on(&load, &reporter).await;
        let again = reporter.take_without_passive();
        if done.is_ok() && !again.is_empty() {
            let goes = again.first().map(|left| left.why).is_some_and(|why| self.go_active(why));
            let left = match goes {
                true => {
                    let file = |left: Left| {
                        let Item { remote, local, size, .. } = left.item;
                        OneFile { remote, local, size }
                    };
                    let load = Load { files: again.into_iter().map(file).collect(), ..load };
                    self.carry_on(&load, &reporter).await?;
                    reporter.take_without_passive()
                }
                false => again,
            };
            if goes && !left.is_empty() {
                // Neither way comes to stand.
                self.set_mode(DataMode::Passive);
            }
            left.iter().for_each(|left| reporter.left(left));
        }
        self.told = reporter.has_told();
        let ended = reporter.end();
        if done.is_err() {
            self.told = false;
        }
        done?;
        ended?;
        Ok(Flow::Continue)
    }

    async fn carry_on(&mut self, load: &Load, reporter: &Arc<Reporter>) -> anyhow::Result<()> {
        let options = self.batch_options(load);
        let client = self.client()?;
        let mut batch = Batch::new(client.settings().clone(), options, reporter.clone());
        fill(&mut batch, load);
        batch.run_on(client).await.map_err(Into::into)
    }

    /// How files are transferred, as the settings say.
    pub(super) fn batch_options(&self, load: &Load) -> BatchOptions {
        let attempts = self.connect.retry.unwrap_or(0);
        let rates = &self.settings.rates;
        BatchOptions {
            parallel: Parallel::Sessions(1),
            retry: Retry { attempts, connect: attempts, ..Retry::default() },
            // As ftp has it, `preserve` is about what comes.
            keep_time: self.settings.preserve && !load.upload,
            rate: if load.upload { rates.put.rate.clone() } else { rates.get.rate.clone() },
            aside: false,
            resume: load.resume,
            ..BatchOptions::default()
        }
    }

    /// There is no passive data connection, and `why`: active mode is used from now on, where the settings allow that.
    pub(super) fn go_active(&mut self, why: &str) -> bool {
        let goes = self.settings.fallback && self.mode == DataMode::Passive;
        if goes {
            self.set_mode(DataMode::Active);
            let text = format!("{why}: trying active mode.");
            // What a script writes may be a file's bytes.
            if self.interactive || self.replies.is_on() { self.out.line(text) } else { tracing::warn!("{text}") }
        }
        goes
    }

    /// The command of the shell that shows texts.
    pub(super) fn pager(&self) -> String {
        let pager = self.options.get("pager");
        if pager.is_empty() { "more".to_owned() } else { pager }
    }
}

/// Why there is no data connection, where active mode may help.
pub(super) fn lacks_passive(done: &anyhow::Result<Flow>) -> Option<&'static str> {
    let error = done.as_ref().err()?;
    error.chain().find_map(|cause| without_passive(cause.downcast_ref::<Error>()?))
}

/// As [`lacks_passive`], of the client's own error: the server has no passive mode, or what it offers cannot be connected to, as
/// behind a firewall. In active mode the same says that nobody has come, or that there is no such mode, and nothing else is left.
pub(super) fn without_passive(error: &Error) -> Option<&'static str> {
    match error {
        // Who has not logged in is not let in this way either.
        Error::Refused { reply, .. } if reply.code() == 530 => None,
        Error::Refused { verb: "EPSV" | "PASV", .. } => Some("The server has no passive mode"),
        Error::Refused { verb: "EPRT" | "PORT", .. } => Some("The server has no active mode"),
        Error::Refused { phase: Phase::DataOpen, reply, .. } if reply.code() != 425 => None,
        Error::Refused { phase: Phase::DataOpen, .. }
        | Error::Timeout { phase: Phase::DataOpen, .. }
        | Error::Transport { phase: Phase::DataOpen, .. } => Some("No passive data connection comes to stand"),
        _ => None,
    }
}

/// Puts files into a batch.
pub(super) fn fill(batch: &mut Batch, load: &Load) {
    for file in &load.files {
        match load.upload {
            true => batch.put(file.local.clone(), file.remote.clone()),
            false => batch.get(file.remote.clone(), file.local.clone(), file.size),
        }
    }
}

/// The name that a file of the server has here: the last part of its path. Never one that leads out of the directory.
pub(super) fn base_name(remote: &[u8]) -> anyhow::Result<&[u8]> {
    let name = remote.rsplit(|&b| b == b'/').next().unwrap_or_default();
    match name {
        b"" | b"." | b".." => bail!(Fault::usage(format!("{} names no file", Shown(remote)))),
        name => Ok(name),
    }
}

pub(super) fn file_name(local: &Path) -> anyhow::Result<&[u8]> {
    match local.file_name() {
        Some(name) => Ok(name.as_bytes()),
        None => bail!(Fault::usage(format!("{} names no file", local.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_server_gives_a_plain_name() {
        assert_eq!(base_name(b"pub/readme.txt").unwrap(), b"readme.txt");
        assert_eq!(base_name(b"/readme.txt").unwrap(), b"readme.txt");
        for bad in [&b""[..], b"pub/", b"pub/..", ".".as_bytes()] {
            assert!(base_name(bad).is_err());
        }
    }
}
