//! One piece of work of a batch or a mirror: a listing, a file, a directory.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use port21_proto::client::Phase;
use port21_proto::listing::Entry;
use rustix::fs::OFlags;
use tokio::sync::OwnedSemaphorePermit;

use crate::above::{Above, Uniques, unique};
use crate::client::Client;
use crate::crew::Work;
use crate::digest::of_file;
use crate::error::Error;
use crate::file::{Progress, Transferred, local};
use crate::folder::{Folder, Spot};
use crate::get::GetOptions;
use crate::listing::Listed;
use crate::put::{PutOptions, Source};
use crate::several::Each;
use crate::watch::{Event, Item, Watch};
use crate::zone::Zone;

/// So many bytes of names each entry of a directory may have on the average, where its entries are held in memory.
const NAME_BYTES: usize = 256;

/// A listing of more entries, or of more bytes of names, is held in memory alone: sessions side by side would hold one each.
const LARGE: usize = 10_000;

/// So many lines that cannot be read are told of a listing. The rest are counted.
const TOLD_LINES: u64 = 20;

/// How much of such a line is shown.
const SHOWN: usize = 160;

/// Behind the download of a file of this size at most the way to the next one's data connection is asked for: a long download
/// gains nothing by it, and its server may look at the control connection meanwhile.
const SMALL: u64 = 256 * 1024;

/// A piece of work, and how far it has come.
pub(crate) struct Errand {
    pub(crate) what: What,
    watch: Arc<dyn Watch>,
    reached: u64,
    began: Option<Instant>,
}

pub(crate) enum What {
    /// Lists the directory `remote`, which is `relative` in its tree.
    List {
        remote: Vec<u8>,
        relative: Vec<u8>,
        zone: Option<Zone>,
        above: Above,
    },
    Get {
        item: Item,
        to: Target,
        options: GetOptions,
        insist: bool,
    },
    Put {
        item: Item,
        from: Origin,
        options: PutOptions,
    },
    /// Compares the digests of a file on both sides. Where they differ, this follows.
    Compare {
        item: Item,
        local: Origin,
        otherwise: Box<What>,
    },
    /// Asks how long the file behind a link is.
    Look {
        item: Item,
        to: Target,
    },
    /// Makes directories, and those above them that are missing: each `remote`, and `relative` in its tree.
    Make {
        remotes: Vec<Vec<u8>>,
        relatives: Vec<Vec<u8>>,
    },
    /// Removes files, or directories.
    Remove {
        remotes: Vec<Vec<u8>>,
        directories: bool,
        /// It was tried before.
        again: bool,
    },
    /// Asks whether the server sets the times of files.
    Probe,
}

/// Where a file goes.
#[derive(Clone)]
pub(crate) enum Target {
    /// To a path of the user's.
    Path(PathBuf),
    /// Below a directory that is not left.
    Within(Arc<Folder>, Vec<u8>),
}

/// Where a file comes from.
#[derive(Clone)]
pub(crate) enum Origin {
    Path(PathBuf),
    /// From below a directory that is not left.
    Within(Arc<Folder>, Vec<u8>),
}

pub(crate) enum Output {
    Listing(Listing),
    Transferred(Transferred),
    /// The files are, or are not, the same.
    Same(bool),
    Size(Option<u64>),
    KeepsTimes(bool),
    /// How each of several went.
    Each(Each),
}

/// A directory of the server.
pub(crate) struct Listing {
    pub(crate) entries: Vec<Entry>,
    /// Lines that could not be read, and what else says that not all is there.
    pub(crate) gaps: Vec<String>,
    /// How many of its lines could not be read.
    pub(crate) unreadable: u64,
    /// The directory itself and those above it, as far as it tells.
    pub(crate) root: Above,
    /// Whether what it says is unique of its entries differs.
    pub(crate) uniques: Uniques,
    /// What is known of the server's clock by now.
    pub(crate) zone: Option<Zone>,
    /// No other listing that is large is held meanwhile.
    _room: Option<OwnedSemaphorePermit>,
}

impl Errand {
    pub(crate) fn new(what: What, watch: &Arc<dyn Watch>) -> Errand {
        Errand { what, watch: watch.clone(), reached: 0, began: None }
    }

    /// How long it took, with all waits.
    pub(crate) fn took(&self) -> Duration {
        self.began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    fn remote(&self) -> &[u8] {
        match &self.what {
            What::Get { item, .. } | What::Put { item, .. } | What::Compare { item, .. } | What::Look { item, .. } => {
                &item.remote
            }
            What::List { remote, .. } => remote,
            What::Make { remotes, .. } | What::Remove { remotes, .. } => remotes.first().map_or(b"", Vec::as_slice),
            What::Probe => b"",
        }
    }
}

impl Work for Errand {
    type Output = Output;

    async fn attempt(&mut self, client: &mut Client) -> Result<Output, Error> {
        self.began.get_or_insert_with(Instant::now);
        let (watch, reached) = (&self.watch, &mut self.reached);
        match &mut self.what {
            What::List { remote, zone, .. } => list(client, remote, *zone).await.map(Output::Listing),
            What::Get { item, to, options, insist } => {
                watch.event(&Event::Began(item));
                client.more_follows &= item.size.is_some_and(|size| size <= SMALL);
                let mut moved = progress(watch.as_ref(), item, reached);
                let result = match get(client, item, to, options, &mut moved).await {
                    Err(Error::Refused { verb: "REST", .. }) if options.resume && !*insist => {
                        options.resume = false;
                        get(client, item, to, options, &mut moved).await
                    }
                    result => result,
                };
                if let Err(Error::Partial { .. }) = &result {
                    (options.resume, options.parts_only, options.own_part, *insist) = (true, true, true, false);
                }
                result.map(Output::Transferred)
            }
            What::Put { item, from, options } => {
                watch.event(&Event::Began(item));
                let mut moved = progress(watch.as_ref(), item, reached);
                let result = put(client, item, from, options, &mut moved).await;
                if let Err(Error::Partial { .. }) = &result {
                    (options.resume, options.parts_only, options.own_part) = (true, options.aside, true);
                }
                result.map(Output::Transferred)
            }
            What::Compare { item, local, .. } => compare(client, item, local).await.map(Output::Same),
            What::Look { item, .. } => client.size_if_told(&item.remote).await.map(Output::Size),
            What::Make { remotes, .. } => client.make_several(remotes).await.map(Output::Each),
            What::Remove { remotes, directories, again } => {
                let before = std::mem::replace(again, true);
                client.remove_several(remotes, *directories, before).await.map(Output::Each)
            }
            What::Probe if !client.settings().probe => Ok(Output::KeepsTimes(false)),
            What::Probe => client.features().await.map(|features| Output::KeepsTimes(features.has("MFMT"))),
        }
    }

    fn reached(&self) -> u64 {
        self.reached
    }

    fn again(&self, error: &Error, wait: Duration) {
        self.watch.event(&Event::Again { remote: self.remote(), error, wait });
    }
}

fn progress<'a>(watch: &'a dyn Watch, item: &'a Item, reached: &'a mut u64) -> impl FnMut(Progress) + Send + 'a {
    move |progress| {
        *reached = (*reached).max(progress.done);
        watch.event(&Event::Moved(item, progress));
    }
}

async fn get(
    client: &mut Client,
    item: &Item,
    to: &Target,
    options: &GetOptions,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Transferred, Error> {
    match to {
        Target::Path(path) => client.get_file(&item.remote, path, options, progress).await,
        Target::Within(folder, relative) => {
            let spot = spot(folder, relative)?;
            client.get_spot(&item.remote, &spot, options, progress).await
        }
    }
}

async fn put(
    client: &mut Client,
    item: &Item,
    from: &Origin,
    options: &PutOptions,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Transferred, Error> {
    match from {
        Origin::Path(path) => client.put_file(path, &item.remote, options, progress).await,
        Origin::Within(..) => {
            let source = Source::new(&item.local, from.open()?)?;
            client.put_source(&source, &item.remote, options, progress).await
        }
    }
}

impl Origin {
    fn open(&self) -> Result<File, Error> {
        match self {
            Origin::Path(path) => File::open(path).map_err(local(path)),
            Origin::Within(folder, relative) => {
                spot(folder, relative)?.open(OFlags::RDONLY).map_err(local(&folder.shown(relative)))
            }
        }
    }
}

pub(crate) fn spot(folder: &Folder, relative: &[u8]) -> Result<Spot, Error> {
    folder.spot(relative).map_err(local(&folder.shown(relative)))
}

async fn compare(client: &mut Client, item: &Item, here: &Origin) -> Result<bool, Error> {
    let Some(way) = client.digest_way().await? else {
        return Err(Error::Usage("the server can tell no digests: compare by size and time, without --checksum"));
    };
    let (there, file) = (client.digest(&item.remote, way).await?, here.open()?);
    Ok(there == of_file(&item.local, &file, way.algorithm).await?)
}

/// Lists a directory to its end.
pub(crate) async fn list(client: &mut Client, remote: &[u8], zone: Option<Zone>) -> Result<Listing, Error> {
    // A name that begins with a dash would be taken for options of LIST.
    let path = if remote.starts_with(b"-") { [b"./", remote].concat() } else { remote.to_vec() };
    let uniques = Uniques::default();
    let root = Above::default();
    let mut listing =
        Listing { entries: Vec::new(), gaps: Vec::new(), unreadable: 0, root, uniques, zone, _room: None };
    let (most, large) = (client.settings().max_entries, client.settings().large.clone());
    let mut bytes = 0_usize;
    let mut entries = client.list(&path).await?;
    while let Some(listed) = entries.next().await {
        match listed? {
            Listed::Entry(entry) => {
                listing.uniques.see(&entry);
                let entry = slim(*entry);
                bytes = bytes.saturating_add(entry.name.len() + entry.target.as_ref().map_or(0, Vec::len));
                listing.entries.push(entry);
            }
            Listed::Unreadable(line) => listing.unreadable(&line),
        }
        if listing.entries.len() > most || bytes > most.saturating_mul(NAME_BYTES) {
            let why = format!("a directory of more than {most} entries: see the limit max_entries");
            return Err(Error::TooMuch { phase: Phase::Transfer, why });
        }
        let is_large = listing.entries.len() > LARGE || bytes > LARGE * NAME_BYTES;
        if is_large && listing._room.is_none() {
            // It is never closed.
            listing._room = large.clone().acquire_owned().await.ok();
        }
    }
    if let Some(more) = listing.unreadable.checked_sub(TOLD_LINES).filter(|more| *more > 0) {
        listing.gaps.push(format!("... and {more} more lines that cannot be read"));
    }
    if let Some(own) = entries.own() {
        listing.uniques.see(own);
        listing.root = Above::default().below(b"", own);
    }
    // `226 Transfer done (but failed to open directory).` stands behind the empty listing of one that may not be read.
    if let Some(reply) = entries.farewell().filter(|reply| says_failed(reply.text())) {
        listing.gaps.push(format!("the listing may not be whole: {reply}"));
    }
    if listing.zone.is_none() {
        listing.zone = Zone::find(client, &path, &listing.entries).await?;
    }
    if let Some(zone) = listing.zone {
        listing.entries.iter_mut().for_each(|entry| zone.correct(entry));
    }
    Ok(listing)
}

impl Listing {
    fn unreadable(&mut self, line: &[u8]) {
        self.unreadable += 1;
        if self.unreadable <= TOLD_LINES {
            let shown = port21_proto::text::Shown(line.get(..SHOWN).unwrap_or(line)).to_string();
            self.gaps.push(format!("a line of the listing cannot be read: {shown}"));
        }
    }
}

/// An entry without what nobody asks for who holds many of them.
fn slim(entry: Entry) -> Entry {
    let unique = unique(&entry).filter(|_| entry.is_directory()).map(<[u8]>::to_vec);
    let mut entry = Entry { permissions: None, owner: None, group: None, unique, perm: None, raw: Vec::new(), ..entry };
    entry.name.shrink_to_fit();
    entry
}

fn says_failed(text: &[u8]) -> bool {
    let text = text.to_ascii_lowercase();
    let says = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
    [&b"failed"[..], b"denied", b"cannot", b"can't", b"error", b"incomplete"].into_iter().any(says)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn farewells_of_listings() {
        assert!(says_failed(b"Transfer done (but failed to open directory)."));
        assert!(says_failed(b"Permission denied"));
        assert!(!says_failed(b"Directory send OK."));
    }
}
