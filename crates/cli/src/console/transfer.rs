//! Commands that transfer files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use port21_client::{GetOptions, Progress, PutOptions, Upload};
use port21_proto::text::Shown;
use tokio::io::AsyncReadExt as _;

use super::files::{Answer, Asking, Refusals, is_pattern, matcher, matches};
use super::output::Out;
use super::words::Words;
use super::{Console, Flow};
use crate::exit::{Exit, Fault};
use crate::progress::Meter;

/// How many bytes one `#` of `hash` stands for.
pub(super) const HASH_BYTES: u64 = 1024;

pub(super) async fn get(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    fetch_words(console, words, false).await
}

pub(super) async fn reget(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    fetch_words(console, words, true).await
}

async fn fetch_words(console: &mut Console, words: &Words, resume: bool) -> anyhow::Result<Flow> {
    let [remote, rest @ ..] = words.list.as_slice() else { bail!(Fault::usage("usage: get REMOTE-FILE [LOCAL-FILE]")) };
    match rest.first().map(String::as_str) {
        Some("-") => to_screen(console, remote).await?,
        Some(local) => {
            let local = console.local.join(local);
            let local = if local.is_dir() { local.join(base_name(remote.as_bytes())?) } else { local };
            fetch(console, remote.as_bytes(), &local, resume).await?;
        }
        None => {
            let local = console.local.join(base_name(remote.as_bytes())?);
            fetch(console, remote.as_bytes(), &local, resume).await?;
        }
    }
    Ok(Flow::Continue)
}

pub(super) async fn mget(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let names = matches(console.client()?, &words.list).await?;
    let mut asking = Asking::new(console, "mget");
    let mut refusals = Refusals::default();
    for name in names {
        match asking.about(&name)? {
            Answer::Yes => {
                let local = console.local.join(base_name(&name)?);
                refusals.note(fetch(console, &name, &local, false).await)?;
            }
            Answer::No => {}
            Answer::Stop => break,
        }
    }
    refusals.end()
}

pub(super) async fn put(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    send_words(console, words, Upload::Whole).await
}

pub(super) async fn append(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    send_words(console, words, Upload::Append).await
}

async fn send_words(console: &mut Console, words: &Words, how: Upload) -> anyhow::Result<Flow> {
    let [local, rest @ ..] = words.list.as_slice() else { bail!(Fault::usage("usage: put LOCAL-FILE [REMOTE-FILE]")) };
    let local = console.local.join(local);
    let remote = match rest.first() {
        Some(remote) => remote.as_bytes().to_vec(),
        None => file_name(&local)?,
    };
    send(console, &local, &remote, how).await?;
    Ok(Flow::Continue)
}

pub(super) async fn mput(console: &mut Console, words: &Words) -> anyhow::Result<Flow> {
    let mut files = Vec::new();
    for word in &words.list {
        match is_pattern(word) {
            true => files.extend(local_matches(&console.local, word)?),
            false => files.push(console.local.join(word)),
        }
    }
    let mut asking = Asking::new(console, "mput");
    let mut refusals = Refusals::default();
    for file in files {
        let name = file_name(&file)?;
        match asking.about(&name)? {
            Answer::Yes => refusals.note(send(console, &file, &name, Upload::Whole).await)?,
            Answer::No => {}
            Answer::Stop => break,
        }
    }
    refusals.end()
}

async fn fetch(console: &mut Console, remote: &[u8], local: &Path, resume: bool) -> anyhow::Result<()> {
    if console.replies.is_on() {
        let name = local.strip_prefix(&console.local).unwrap_or(local).as_os_str().as_bytes();
        console.out.line(format_args!("local: {} remote: {}", Shown(name), Shown(remote)));
    }
    let options = GetOptions { resume, keep_time: !console.connect.no_probe, ..GetOptions::default() };
    let mut watch = Watch::new(console, remote);
    let begun = Instant::now();
    let done = console.client()?.get_file(remote, local, &options, &mut |progress| watch.update(progress)).await;
    watch.end();
    let done = done?;
    summary(console, "received", done.bytes, begun.elapsed());
    Ok(())
}

async fn to_screen(console: &mut Console, remote: &str) -> anyhow::Result<()> {
    let out = console.out.clone();
    let mut stream = console.client()?.download(remote, 0).await?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = stream.read(&mut buffer).await.context("the transfer broke off")?;
        if n == 0 {
            break;
        }
        out.bytes(buffer.get(..n).unwrap_or_default());
    }
    stream.finish().await?;
    Ok(())
}

async fn send(console: &mut Console, local: &Path, remote: &[u8], how: Upload) -> anyhow::Result<()> {
    if !local.is_file() {
        // A directory or a FIFO would be opened, and then not be read as a file is.
        let why = if local.exists() { "not a plain file" } else { "no such file" };
        bail!(Fault::new(Exit::Local, format!("{}: {why}", local.display())));
    }
    if console.replies.is_on() {
        let name = local.strip_prefix(&console.local).unwrap_or(local).as_os_str().as_bytes();
        console.out.line(format_args!("local: {} remote: {}", Shown(name), Shown(remote)));
    }
    let options = PutOptions { how, ..PutOptions::default() };
    let mut watch = Watch::new(console, remote);
    let begun = Instant::now();
    let done = console.client()?.put_file(local, remote, &options, &mut |progress| watch.update(progress)).await;
    watch.end();
    let done = done?;
    summary(console, "sent", done.bytes, begun.elapsed());
    Ok(())
}

/// As BSD ftp has always said it: `1715 bytes received in 0.00 seconds (1674.80 KiB/s)`.
fn summary(console: &Console, what: &str, bytes: u64, took: Duration) {
    if console.replies.is_on() {
        // On a coarse clock a small file takes no time at all.
        let seconds = took.as_secs_f64().max(1e-6);
        let speed = bytes as f64 / 1024.0 / seconds;
        console.out.line(format_args!("{bytes} bytes {what} in {seconds:.2} seconds ({speed:.2} KiB/s)"));
    }
}

/// Progress as the user wants it: a bar, hash marks, or nothing.
struct Watch {
    meter: Option<Meter>,
    hashes: Option<(Out, u64)>,
}

impl Watch {
    fn new(console: &Console, name: &[u8]) -> Watch {
        let hashes = console.hash.then(|| (console.out.clone(), 0));
        let meter = (console.interactive && !console.hash).then(|| Meter::new(name));
        Watch { meter, hashes }
    }

    fn update(&mut self, progress: Progress) {
        if let Some(meter) = &mut self.meter {
            meter.update(progress);
        }
        if let Some((out, printed)) = &mut self.hashes {
            let marks = progress.done / HASH_BYTES;
            // A line of a terminal at a time, however far the transfer has come.
            while *printed < marks {
                let n = (marks - *printed).min(80);
                out.marks(usize::try_from(n).unwrap_or(80));
                *printed += n;
            }
        }
    }

    fn end(self) {
        if let Some((out, _)) = self.hashes {
            out.end_marks();
        }
    }
}

/// The name that a file of the server has here: the last part of its path. Never one that leads out of the directory.
fn base_name(remote: &[u8]) -> anyhow::Result<&Path> {
    let name = remote.rsplit(|&b| b == b'/').next().unwrap_or_default();
    match name {
        b"" | b"." | b".." => bail!(Fault::usage(format!("{} names no file", Shown(remote)))),
        name => Ok(Path::new(OsStr::from_bytes(name))),
    }
}

fn file_name(local: &Path) -> anyhow::Result<Vec<u8>> {
    match local.file_name() {
        Some(name) => Ok(name.as_bytes().to_vec()),
        None => bail!(Fault::usage(format!("{} names no file", local.display()))),
    }
}

/// The files here that a pattern means, in order.
fn local_matches(local: &Path, word: &str) -> anyhow::Result<Vec<PathBuf>> {
    let at = word.rfind('/').map_or(0, |slash| slash + 1);
    let (directory, pattern) = word.split_at(at);
    if is_pattern(directory) {
        bail!(Fault::usage(format!("{word}: only the last part of a path may be a pattern")));
    }
    let matcher = matcher(pattern)?;
    let directory = local.join(directory);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
        let entry = entry.with_context(|| directory.display().to_string())?;
        let name = entry.file_name();
        let hidden = name.as_bytes().starts_with(b".") && !pattern.starts_with('.');
        if !hidden && matcher.is_match(&name) && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    if files.is_empty() {
        bail!(Fault::new(Exit::Local, format!("{word}: no local file matches")));
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::super::tests::console;
    use super::*;

    #[test]
    fn a_path_of_the_server_gives_a_plain_name() {
        assert_eq!(base_name(b"pub/readme.txt").unwrap(), Path::new("readme.txt"));
        assert_eq!(base_name(b"/readme.txt").unwrap(), Path::new("readme.txt"));
        for bad in [&b""[..], b"pub/", b"pub/..", ".".as_bytes()] {
            assert!(base_name(bad).is_err());
        }
    }

    #[test]
    fn patterns_of_local_files() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.txt", "a.txt", ".c.txt", "d.bin"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        std::fs::create_dir(dir.path().join("e.txt")).unwrap();
        let found = local_matches(dir.path(), "*.txt").unwrap();
        assert_eq!(found, [dir.path().join("a.txt"), dir.path().join("b.txt")]);
        assert!(local_matches(dir.path(), "*.nothing").is_err());
        assert!(local_matches(dir.path(), "*/x").is_err());
    }

    #[test]
    fn hash_marks() {
        let (mut console, memory) = console();
        console.hash = true;
        let mut watch = Watch::new(&console, b"x");
        for done in [0, 1023, 1024, 200 * 1024] {
            watch.update(Progress { done, total: None });
        }
        // The final reply comes before the transfer's own end.
        console.out.line("226 Transfer complete.");
        watch.end();
        assert_eq!(memory.text(), format!("{}\n226 Transfer complete.\n", "#".repeat(200)));
    }
}
