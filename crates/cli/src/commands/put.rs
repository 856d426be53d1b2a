//! `port21 put`: files to a server, and trees of them.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use globset::GlobBuilder;
use port21_client::{Batch, Choose, Client, Mirror, MirrorOptions, Upload, is_pattern};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::cat::unwrapped;
use super::teller::{Teller, print};
use super::{Outcome, batch_options, remote};
use crate::args::client::PutArgs;
use crate::exit::{Exit, Fault};
use crate::place::Place;
use crate::units::show_size;

pub(super) async fn run(args: &PutArgs) -> anyhow::Result<Exit> {
    let place = Place::parse(&args.url)?;
    let into_directory = place.target.directory || place.path().is_empty();
    let mut files = Vec::new();
    for file in &args.files {
        files.extend(local_matches(file)?);
    }
    if files.len() > 1 && !into_directory {
        bail!(Fault::usage(format!("several files cannot all become {place}: end the URL with / to name a directory")));
    }
    let mut named = Vec::new();
    for file in files {
        let name = remote_name(&file, &place, into_directory)?;
        named.push((file, name));
    }
    let mut remote = remote(&args.connect)?;
    let mut outcome = Outcome::new();
    let (stdin, files): (Vec<_>, Vec<_>) = named.into_iter().partition(|(file, _)| file.as_os_str() == "-");
    for (_, name) in &stdin {
        if args.resume {
            bail!(Fault::usage("standard input cannot be continued: it has no beginning to pass over"));
        }
        let client = remote.session(&place, &format!("put - {place}")).await?;
        outcome.add(from_stdin(client, name, &place, args).await.with_context(|| place.to_string()));
    }
    if !files.is_empty() {
        let shown: Vec<String> = files.iter().map(|(file, _)| file.display().to_string()).collect();
        let settings = remote.settings(&place, &format!("put {} {place}", shown.join(" "))).await?;
        let teller = Arc::new(Teller::new(&place, args.transfer.json, true, false));
        let mut options = batch_options(&args.transfer, &args.connect, args.parallel, remote.is_recorded())?;
        (options.resume, options.aside) = (args.resume, !args.direct);
        let (directories, files): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(file, _)| args.recursive && file.is_dir());
        let mut batch = Batch::new(settings.clone(), options.clone(), teller.clone());
        files.into_iter().for_each(|(file, name)| batch.put(file, name));
        if !batch.is_empty() {
            batch.run().await.with_context(|| place.to_string())?;
        }
        let choose = if args.resume { Choose::Changed } else { Choose::All };
        for (directory, name) in directories {
            let mirror_options = MirrorOptions { choose, ..MirrorOptions::default() };
            let mirror = Mirror::new(settings.clone(), options.clone(), mirror_options, teller.clone());
            outcome.add(mirror.up(&directory, &name).await.map(drop).with_context(|| place.url_of(&name)));
        }
        outcome.add_exit(Ok(teller.exit()));
    }
    remote.end().await;
    Ok(outcome.0)
}

/// What the file stands for: itself where there is one of that name, else what matches it as a pattern.
fn local_matches(file: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let is_literal = !is_pattern(file.as_os_str().as_bytes()) || file.symlink_metadata().is_ok();
    let (Some(name), false) = (file.file_name().and_then(|name| name.to_str()), is_literal) else {
        return Ok(vec![file.to_owned()]);
    };
    let above = file.parent().filter(|above| !above.as_os_str().is_empty());
    let wrong = |error: globset::Error| Fault::usage(error.to_string());
    let matcher = GlobBuilder::new(name).literal_separator(true).build().map_err(wrong)?.compile_matcher();
    let directory = above.unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let entry = entry.with_context(|| directory.display().to_string())?.file_name();
        let hidden = entry.as_bytes().starts_with(b".") && !name.starts_with('.');
        if !hidden && matcher.is_match(&entry) {
            found.push(above.map_or_else(|| PathBuf::from(&entry), |above| above.join(&entry)));
        }
    }
    if found.is_empty() {
        bail!(Fault::new(Exit::Local, format!("{}: no local file matches", file.display())));
    }
    found.sort();
    Ok(found)
}

fn remote_name(file: &Path, place: &Place, into_directory: bool) -> anyhow::Result<Vec<u8>> {
    let is_stdin = file.as_os_str() == "-";
    if !into_directory {
        return Ok(place.path().to_vec());
    }
    if is_stdin {
        bail!(Fault::usage("standard input has no name: end the URL with the name that the file is to have"));
    }
    match file.file_name() {
        Some(name) => Ok(place.join(name.as_bytes())),
        // `.`: what is in it goes into the directory itself.
        None if file.is_dir() => Ok(place.path().to_vec()),
        None => bail!(Fault::usage(format!("{} names no file", file.display()))),
    }
}

/// Sends what standard input holds. Where reading fails, the upload is aborted: the end of a broken pipe's bytes is not
/// the end of the file.
async fn from_stdin(client: &mut Client, name: &[u8], place: &Place, args: &PutArgs) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut stdin = tokio::io::stdin();
    let mut stream = client.upload(name, Upload::Whole).await?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = match stdin.read(&mut buffer).await {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) => {
                stream.abort().await?;
                return Err(error).context(Fault::new(Exit::Interrupted, "cannot read standard input"));
            }
        };
        stream.write_all(&buffer[..n]).await.map_err(unwrapped)?;
    }
    stream.flush().await.map_err(unwrapped)?;
    let bytes = stream.sent();
    stream.finish().await?;
    let seconds = begun.elapsed().as_secs_f64();
    if args.transfer.json {
        print(&json!({
            "event": "done", "file": "-", "url": place.url_of(name), "bytes": bytes, "seconds": seconds,
        }));
    } else {
        tracing::info!("-: {} in {seconds:.2} s", show_size(bytes));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_the_shell_has_left() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.txt", "a.txt", ".c.txt", "[x]"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let found = |name: &str| local_matches(&dir.path().join(name));
        assert_eq!(found("*.txt").unwrap(), [dir.path().join("a.txt"), dir.path().join("b.txt")]);
        assert_eq!(found("[x]").unwrap(), [dir.path().join("[x]")]);
        assert_eq!(found("none").unwrap(), [dir.path().join("none")]);
        assert!(found("*.nothing").is_err() && found("[").is_err());
    }
}
