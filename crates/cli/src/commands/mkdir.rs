//! `port21 mkdir`: directories.

use anyhow::Context as _;
use port21_client::{Client, Error};

use super::{Outcome, places, remote};
use crate::args::client::MkdirArgs;
use crate::exit::Exit;

pub(super) async fn run(args: &MkdirArgs) -> anyhow::Result<Exit> {
    let places = places(&args.urls)?;
    let mut remote = remote(&args.connect)?;
    let mut outcome = Outcome::new();
    for place in &places {
        let done = async {
            let client = remote.session(place, &format!("mkdir {place}")).await?;
            let made = match args.parents {
                true => make_all(client, place.path()).await,
                false => client.mkdir(place.path()).await.map(drop),
            };
            made.with_context(|| place.to_string())
        };
        outcome.add(done.await);
    }
    remote.end().await;
    Ok(outcome.0)
}

/// Makes a directory and those above it, the topmost first. Servers do not tell by a code that a directory is there
/// already (RFC 959 has 521 for it, most answer 550): a refusal counts only if the directory cannot be entered either.
async fn make_all(client: &mut Client, path: &[u8]) -> Result<(), Error> {
    let ends = path.iter().enumerate().filter(|(at, b)| **b == b'/' && *at > 0).map(|(at, _)| at);
    let ends: Vec<usize> = ends.chain([path.len()]).collect();
    let mut refused = None;
    for end in ends {
        let part = path.get(..end).unwrap_or_default();
        if part.is_empty() || part.ends_with(b"/") {
            continue;
        }
        refused = match client.mkdir(part).await {
            Ok(_) => None,
            Err(error @ Error::Refused { .. }) => Some(error),
            Err(error) => return Err(error),
        };
    }
    let Some(refused) = refused else { return Ok(()) };
    let back = client.pwd().await?;
    match client.cwd(path).await {
        Ok(_) => client.cwd(back).await.map(drop),
        Err(Error::Refused { .. }) => Err(refused),
        Err(error) => Err(error),
    }
}
