//! `port21 cat`: files to standard output.

use anyhow::Context as _;
use port21_client::{Client, Error};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Outcome, places, remote};
use crate::args::client::CatArgs;
use crate::exit::Exit;
use crate::place::Place;

pub(super) async fn run(args: &CatArgs) -> anyhow::Result<Exit> {
    let places = places(&args.urls)?;
    let mut remote = remote(&args.connect)?;
    let mut outcome = Outcome::new();
    for place in &places {
        let done = async {
            let client = remote.session(place, &format!("cat {place}")).await?;
            to_stdout(client, place).await.with_context(|| place.to_string())
        };
        outcome.add(done.await.map(drop));
    }
    remote.end().await;
    Ok(outcome.0)
}

/// Writes a file to standard output; gives how many bytes came.
pub(super) async fn to_stdout(client: &mut Client, place: &Place) -> anyhow::Result<u64> {
    let mut stdout = tokio::io::stdout();
    let mut stream = client.download(place.path(), 0).await?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = stream.read(&mut buffer).await.map_err(unwrapped)?;
        if n == 0 {
            break;
        }
        stdout.write_all(&buffer[..n]).await.context("cannot write to standard output")?;
    }
    stdout.flush().await.context("cannot write to standard output")?;
    let bytes = stream.received();
    stream.finish().await?;
    Ok(bytes)
}

/// The client's own error, which a stream can only carry within an [`std::io::Error`].
pub(super) fn unwrapped(error: std::io::Error) -> anyhow::Error {
    match error.downcast::<Error>() {
        Ok(error) => error.into(),
        Err(error) => error.into(),
    }
}
