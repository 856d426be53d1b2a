//! Many files, one after the other or side by side.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::builder::Builder;
use crate::client::Client;
use crate::crew::{Crew, Next, Parallel, Work as _};
use crate::digest::Verify;
use crate::errand::{Errand, Origin, Output, Target, What};
use crate::error::Error;
use crate::get::GetOptions;
use crate::put::PutOptions;
use crate::rate::Rate;
use crate::retry::Retry;
use crate::segments;
use crate::watch::{Event, Item, Watch};

/// How files are transferred, where there are many of them.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// How many sessions are used. Default one.
    pub parallel: Parallel,
    /// How often a lost connection is made anew. Default [`Retry::default`].
    pub retry: Retry,
    /// Whether files keep their times. Default yes; one command more for a file.
    pub keep_time: bool,
    /// How it is made sure that files are whole. Default [`Verify::Cheaply`].
    pub verify: Verify,
    /// How fast all of them together may be. Default: as fast as it goes.
    pub rate: Option<Rate>,
    /// Whether uploads are sent aside and renamed when they are whole: see [`PutOptions::aside`]. Default yes; those of
    /// guests never are, who may seldom rename or remove what they have sent.
    pub aside: bool,
    /// In how many segments at once each download of at least 2 MiB is fetched, over a session each. Default one. What one
    /// connection does not bring, for its server or its way sets a limit for each, several may; where the server refuses
    /// a further session, or REST, fewer or one do it. Those that are quick take over from the slow.
    pub segments: usize,
    /// The most bytes that a file may have which is downloaded, or mirrored either way: a larger one is passed over, and
    /// told of. A mirror goes by the listing's size where that tells one. Default: no limit. See [`GetOptions::max_size`].
    pub max_size: Option<u64>,
    /// Whether files are gone on with that are there already; see [`GetOptions::resume`] and [`PutOptions::resume`].
    /// Default no. A file whose connection was lost is gone on with in any case. A mirror goes on with what was left aside,
    /// and has its own ways for the rest.
    pub resume: bool,
}

impl Default for BatchOptions {
    fn default() -> BatchOptions {
        BatchOptions {
            parallel: Parallel::default(),
            retry: Retry::default(),
            keep_time: true,
            verify: Verify::default(),
            rate: None,
            aside: true,
            segments: 1,
            max_size: None,
            resume: false,
        }
    }
}

/// Files to be transferred, over sessions of their own.
pub struct Batch {
    settings: Builder,
    options: BatchOptions,
    watch: Arc<dyn Watch>,
    errands: Vec<Errand>,
    items: Vec<Item>,
}

impl Batch {
    /// A batch over sessions with these settings.
    pub fn new(settings: Builder, options: BatchOptions, watch: Arc<dyn Watch>) -> Batch {
        Batch { settings, options, watch, errands: Vec::new(), items: Vec::new() }
    }

    /// A file is to be fetched: as [`Client::get_file`](crate::Client::get_file).
    pub fn get(&mut self, remote: impl Into<Vec<u8>>, local: impl Into<PathBuf>, size: Option<u64>) {
        self.get_dated(remote, local, size, None);
    }

    /// As [`Batch::get`], of a file whose time a listing has told in UTC and to the second (MLSD): it is not asked for again. There are
    /// servers that answer MDTM in local time.
    pub fn get_dated(
        &mut self,
        remote: impl Into<Vec<u8>>,
        local: impl Into<PathBuf>,
        size: Option<u64>,
        modified: Option<Timestamp>,
    ) {
        let item = self.item(remote.into(), local.into(), size);
        let options = GetOptions {
            resume: self.options.resume,
            keep_time: self.options.keep_time,
            verify: self.options.verify,
            rate: self.options.rate.clone(),
            max_size: self.options.max_size,
            known_size: size.filter(|_| self.options.max_size.is_some()),
            known_time: modified,
            ..GetOptions::default()
        };
        let to = Target::Path(item.local.clone());
        let what = What::Get { item, to, options, insist: self.options.resume };
        self.errands.push(Errand::new(what, &self.watch));
    }

    /// A file is to be sent: as [`Client::put_file`](crate::Client::put_file).
    pub fn put(&mut self, local: impl Into<PathBuf>, remote: impl Into<Vec<u8>>) {
        let local = local.into();
        let size = std::fs::metadata(&local).ok().filter(std::fs::Metadata::is_file).map(|facts| facts.len());
        let item = self.item(remote.into(), local, size);
        let options = PutOptions {
            resume: self.options.resume,
            keep_time: self.options.keep_time,
            verify: self.options.verify,
            rate: self.options.rate.clone(),
            aside: self.options.aside && !self.settings.is_guest(),
            ..PutOptions::default()
        };
        let from = Origin::Path(item.local.clone());
        self.errands.push(Errand::new(What::Put { item, from, options }, &self.watch));
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.errands.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.errands.is_empty()
    }

    /// Transfers them, begun in the order in which they were added. How each went is told to the watch, by
    /// [`Event::Ended`].
    ///
    /// Cancel safety: the future may be dropped; what was transferred stays, and parts are left aside.
    ///
    /// # Errors
    /// Where no session can be had at all.
    pub async fn run(self) -> Result<(), Error> {
        let Batch { settings, options, watch, errands, items } = self;
        items.iter().for_each(|item| watch.event(&Event::Found(item)));
        let mut crew = Crew::new(settings.clone(), options.parallel, options.retry);
        let errands =
            if options.segments > 1 { fetch_segmented(&settings, &options, &watch, errands).await? } else { errands };
        let done = crew.run(errands, |errand, result| {
            ended(&errand, result, &watch);
            Next::nothing()
        });
        let done = done.await;
        crew.end().await;
        done
    }

    /// Transfers them in order over this session, in its working directory and its type: as [`Batch::run`], but for
    /// [`BatchOptions::parallel`] and [`BatchOptions::segments`]. Between two attempts the session is begun anew where it was lost.
    ///
    /// Cancel safety: as [`Client`].
    ///
    /// # Errors
    /// Where the session was lost and not to be had again: the file's error is given then and told to nobody, and those behind it
    /// are left.
    pub async fn run_on(self, client: &mut Client) -> Result<(), Error> {
        let Batch { options, watch, errands, items, .. } = self;
        items.iter().for_each(|item| watch.event(&Event::Found(item)));
        for mut errand in errands {
            let result = attempts(&mut errand, client, options.retry).await;
            match result {
                Err(error) if !client.is_connected() => return Err(error),
                result => ended(&errand, result, &watch),
            }
        }
        Ok(())
    }

    fn item(&mut self, remote: Vec<u8>, local: PathBuf, size: Option<u64>) -> Item {
        let item = Item { id: self.items.len() as u64 + 1, remote, local, size };
        self.items.push(item.clone());
        item
    }
}

/// Tells how a file went.
fn ended(errand: &Errand, result: Result<Output, Error>, watch: &Arc<dyn Watch>) {
    if let What::Get { item, .. } | What::Put { item, .. } = &errand.what {
        let result = result.and_then(|output| match output {
            Output::Transferred(done) => Ok(done),
            _ => Err(Error::Usage("a transfer was answered by something else")),
        });
        watch.event(&Event::Ended { item, result: &result, took: errand.took() });
    }
}

/// Tries it in one session, as often as is to be.
async fn attempts(errand: &mut Errand, client: &mut Client, retry: Retry) -> Result<Output, Error> {
    let (mut failures, mut reached) = (0, 0);
    loop {
        let error = match errand.attempt(client).await {
            Err(error) if error.is_passing() => error,
            result => return result,
        };
        if errand.reached() > reached {
            (reached, failures) = (errand.reached(), 0);
        }
        failures += 1;
        let Some(wait) = retry.wait_after(&error, failures) else { return Err(error) };
        errand.again(&error, wait);
        tokio::time::sleep(wait).await;
    }
}

/// Fetches those files in segments that can be; what is left.
async fn fetch_segmented(
    settings: &Builder,
    options: &BatchOptions,
    watch: &Arc<dyn Watch>,
    errands: Vec<Errand>,
) -> Result<Vec<Errand>, Error> {
    let mut left = Vec::new();
    let mut crew = Crew::new(settings.clone(), Parallel::Sessions(options.segments), options.retry);
    for errand in errands {
        let What::Get { item, to: Target::Path(path), options: get, .. } = &errand.what else {
            left.push(errand);
            continue;
        };
        let begun = std::time::Instant::now();
        let result = segments::fetch(&mut crew, options.segments, item, path, get, watch).await;
        match result {
            Ok(None) => left.push(errand),
            Ok(Some(done)) => watch.event(&Event::Ended { item, result: &Ok(done), took: begun.elapsed() }),
            Err(error) => watch.event(&Event::Ended { item, result: &Err(error), took: begun.elapsed() }),
        }
    }
    crew.end().await;
    Ok(left)
}
