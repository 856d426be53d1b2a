//! `port21 mkdir`: directories.

use anyhow::Context as _;

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
                true => client.make_directories(place.path()).await.map(drop),
                false => client.mkdir(place.path()).await.map(drop),
            };
            made.with_context(|| place.to_string())
        };
        outcome.add(done.await);
    }
    remote.end().await;
    Ok(outcome.0)
}
