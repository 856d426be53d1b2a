//! `port21 put`: files to a server.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};
use port21_client::{Client, PutOptions, Upload};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::cat::unwrapped;
use super::get::is_worth_a_retry;
use super::{Outcome, remote};
use crate::args::client::PutArgs;
use crate::exit::{Exit, Fault};
use crate::progress::Meter;
use crate::remote::{Place, Remote, pause};
use crate::units::show_size;

pub(super) async fn run(args: &PutArgs) -> anyhow::Result<Exit> {
    let place = Place::parse(&args.url)?;
    let into_directory = place.target.directory || place.path().is_empty();
    if args.files.len() > 1 && !into_directory {
        bail!(Fault::usage(format!("several files cannot all become {place}: end the URL with / to name a directory")));
    }
    let names = args.files.iter().map(|file| remote_name(file, &place, into_directory));
    let names = names.collect::<anyhow::Result<Vec<_>>>()?;
    let mut remote = remote(&args.connect)?;
    let mut outcome = Outcome::new();
    for (file, name) in args.files.iter().zip(&names) {
        outcome.add(put(&mut remote, &place, file, name, args).await);
    }
    remote.end().await;
    Ok(outcome.0)
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
        None => bail!(Fault::usage(format!("{} names no file", file.display()))),
    }
}

async fn put(remote: &mut Remote<'_>, place: &Place, file: &Path, name: &[u8], args: &PutArgs) -> anyhow::Result<()> {
    let action = format!("put {} {place}", file.display());
    let begun = Instant::now();
    let is_stdin = file.as_os_str() == "-";
    if is_stdin && args.resume {
        bail!(Fault::usage("standard input cannot be continued: it has no beginning to pass over"));
    }
    let options = PutOptions { resume: args.resume, ..PutOptions::default() };
    for attempt in 0.. {
        let client = remote.session(place, &action).await?;
        if is_stdin {
            let bytes = from_stdin(client, name).await.with_context(|| place.to_string())?;
            return tell(args, file, place, bytes, begun);
        }
        let mut meter = Meter::new(file.as_os_str().as_bytes());
        let done = client.put_file(file, name, &options, &mut |progress| meter.update(progress)).await;
        drop(meter);
        match done {
            Ok(done) => return tell(args, file, place, done.bytes, begun),
            Err(error) if attempt < args.connect.retry && is_worth_a_retry(&error) => {
                pause(attempt, &error.to_string()).await;
            }
            Err(error) => return Err(error).with_context(|| place.to_string()),
        }
    }
    Ok(())
}

fn tell(args: &PutArgs, file: &Path, place: &Place, bytes: u64, begun: Instant) -> anyhow::Result<()> {
    let seconds = begun.elapsed().as_secs_f64();
    if args.json {
        let result = json!({
            "file": file.to_string_lossy(), "url": place.to_string(), "bytes": bytes, "seconds": seconds,
        });
        writeln!(std::io::stdout(), "{result}").context("cannot write to standard output")?;
    } else {
        tracing::info!("{}: {} in {seconds:.2} s", file.display(), show_size(bytes));
    }
    Ok(())
}

/// Sends what standard input holds. Where reading fails, the upload is aborted: the end of a broken pipe's bytes is not
/// the end of the file.
async fn from_stdin(client: &mut Client, name: &[u8]) -> anyhow::Result<u64> {
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
    Ok(bytes)
}
