//! What a mirror has done: counted, and told as it happens.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use port21_proto::client::Phase;

use super::MirrorOptions;
use crate::errand::Errand;
use crate::error::Error;
use crate::file::Transferred;
use crate::watch::{Deed, Event, Item, Place, Watch};

/// What was done, or, in a dry run, would be.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Files that were transferred.
    pub transferred: u64,
    /// Their bytes, as many as went over the wire; in a dry run those of the files.
    pub bytes: u64,
    /// Files that were the same already.
    pub unchanged: u64,
    /// Directories that were made.
    pub directories: u64,
    /// Symbolic links that were made.
    pub links: u64,
    /// Files, links and directories that were removed.
    pub removed: u64,
    /// What was left out: links, devices, names that cannot be used here, files that are too large.
    pub skipped: u64,
    /// What could not be done.
    pub failed: u64,
    /// The first of that.
    pub first_failure: Option<Error>,
    /// Why nothing was removed, where something was to be.
    pub not_removed: Option<String>,
    /// How long it took.
    pub took: std::time::Duration,
}

pub(super) struct Report {
    pub(super) summary: Summary,
    watch: Arc<dyn Watch>,
    dry: bool,
    delete: bool,
    max_size: Option<u64>,
    began: Instant,
    items: u64,
    /// Why the source is not wholly known.
    incomplete: Option<String>,
}

impl Report {
    pub(super) fn new(watch: &Arc<dyn Watch>, options: &MirrorOptions, max_size: Option<u64>) -> Report {
        Report {
            summary: Summary::default(),
            watch: watch.clone(),
            dry: options.dry_run,
            delete: options.delete,
            max_size,
            began: Instant::now(),
            items: 0,
            incomplete: None,
        }
    }

    pub(super) fn watch(&self) -> &Arc<dyn Watch> {
        &self.watch
    }

    pub(super) fn is_dry(&self) -> bool {
        self.dry
    }

    pub(super) fn item(&mut self, remote: Vec<u8>, local: PathBuf, size: Option<u64>) -> Item {
        self.items += 1;
        Item { id: self.items, remote, local, size }
    }

    /// A file is to be transferred, from here (`up`) or to here; whether it is.
    pub(super) fn found(&mut self, item: &Item, up: bool) -> bool {
        let place = |here: bool| match here {
            true => Place::Local(item.local.clone()),
            false => Place::Remote(item.remote.clone()),
        };
        if let Some(limit) = self.max_size.filter(|most| item.size.is_some_and(|size| size > *most)) {
            self.skip(&place(up), &Error::TooLarge { limit }.to_string());
            return false;
        }
        if self.dry {
            self.summary.transferred += 1;
            self.summary.bytes += item.size.unwrap_or(0);
            self.watch.event(&Event::Did(Deed::Transfer, &place(!up)));
        } else {
            self.watch.event(&Event::Found(item));
        }
        !self.dry
    }

    pub(super) fn ended(&mut self, errand: &Errand, item: &Item, result: Result<Transferred, Error>) {
        self.watch.event(&Event::Ended { item, result: &result, took: errand.took() });
        match result {
            Ok(done) => {
                self.summary.transferred += 1;
                self.summary.bytes += done.bytes;
            }
            Err(Error::TooLarge { .. }) => self.summary.skipped += 1,
            Err(error) => self.count_failure(error),
        }
    }

    pub(super) fn did(&mut self, deed: Deed, place: &Place) {
        match deed {
            Deed::MakeDirectory => self.summary.directories += 1,
            Deed::Link => self.summary.links += 1,
            Deed::Remove | Deed::RemoveDirectory => self.summary.removed += 1,
            Deed::Transfer => {}
        }
        self.watch.event(&Event::Did(deed, place));
    }

    pub(super) fn skip(&mut self, place: &Place, why: &str) {
        self.summary.skipped += 1;
        self.watch.event(&Event::Skipped(place, why));
    }

    /// Not all of this directory of the source is known.
    pub(super) fn gap(&mut self, place: &Place, why: &str) {
        self.watch.event(&Event::Gap(place, why));
        self.is_incomplete(format!("{place}: {why}"));
    }

    pub(super) fn notice(&mut self, text: &str) {
        self.watch.event(&Event::Notice(text));
    }

    pub(super) fn fail(&mut self, place: &Place, error: Error) {
        self.watch.event(&Event::Failed(place, &error));
        self.count_failure(error);
    }

    /// What was to be done to all of these has failed by one error, which is the first one's.
    pub(super) fn fail_all(&mut self, places: impl Iterator<Item = Place>, error: Error) {
        let phase = error.phase().unwrap_or(Phase::Command);
        let why = format!("not done: {error}");
        let mut first = Some(error);
        for place in places {
            let error = first.take().unwrap_or_else(|| Error::Protocol { phase, why: why.clone() });
            self.fail(&place, error);
        }
    }

    pub(super) fn fail_here(&mut self, path: PathBuf, source: io::Error) {
        self.fail(&Place::Local(path.clone()), Error::Local { path, source });
    }

    /// Not all of the source is known: what is absent may be there all the same.
    pub(super) fn is_incomplete(&mut self, why: String) {
        self.incomplete.get_or_insert(why);
    }

    /// Whether something may be removed; where not, it is said why.
    pub(super) fn may_remove(&mut self, source_is_empty: bool, something: bool) -> bool {
        if !self.delete || !something {
            return false;
        }
        let why = match (&self.incomplete, source_is_empty) {
            (Some(why), _) => format!("nothing is removed, for the source is not wholly known: {why}"),
            (None, true) => {
                "nothing is removed, for the source is empty: where that is meant, remove the target by hand".to_owned()
            }
            (None, false) => return true,
        };
        self.watch.event(&Event::Notice(&why));
        self.summary.not_removed = Some(why);
        false
    }

    pub(super) fn finish(&mut self) -> Summary {
        self.summary.took = self.began.elapsed();
        std::mem::take(&mut self.summary)
    }

    fn count_failure(&mut self, error: Error) {
        self.summary.failed += 1;
        self.summary.first_failure.get_or_insert(error);
    }
}
