//! From here to the server.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use port21_proto::listing::Entry;

use super::compare::{Verdict, compare};
use super::report::{Report, Summary};
use super::{Choose, Links, MirrorOptions, above_it};
use crate::above::{Above, Uniques};
use crate::bounds::{Bounds, Held};
use crate::crew::{Crew, Next};
use crate::errand::{Errand, Listing, Origin, Output, What};
use crate::error::Error;
use crate::file::{PART, local};
use crate::folder::{Facts, Folder, Kind};
use crate::put::PutOptions;
use crate::ranges::STATE;
use crate::tree::join;
use crate::watch::{Deed, Item, Place};
use crate::zone::Zone;

pub(super) struct Up<'a> {
    folder: Arc<Folder>,
    remote: Vec<u8>,
    options: &'a MirrorOptions,
    put: PutOptions,
    report: Report,
    bounds: Bounds,
    /// What is at the server, and not here; and whether it is a directory.
    doomed: Vec<Doomed>,
    held: Held,
    uniques: Uniques,
    source_is_empty: bool,
    zone: Option<Zone>,
    /// The server sets the times of files: one that is newer there was changed there.
    keeps_times: bool,
    /// How many directories are made, or files removed, at once in a session.
    depth: usize,
}

/// What is to be removed.
struct Doomed {
    path: Vec<u8>,
    is_directory: bool,
    /// Where it is a directory: itself and those above it.
    above: Above,
}

/// What a directory of the server holds.
#[derive(Default)]
struct There {
    entries: HashMap<Vec<u8>, Entry>,
    /// The directory itself and those above it.
    above: Above,
}

impl<'a> Up<'a> {
    pub(super) fn new(
        here: &Path,
        remote: &[u8],
        options: &'a MirrorOptions,
        put: PutOptions,
        report: Report,
        (bounds, held): (Bounds, Held),
    ) -> Result<Up<'a>, Error> {
        Ok(Up {
            folder: Arc::new(Folder::open(here).map_err(local(here))?),
            remote: remote.to_vec(),
            options,
            put,
            report,
            bounds,
            doomed: Vec::new(),
            held,
            uniques: Uniques::default(),
            source_is_empty: false,
            zone: None,
            keeps_times: false,
            depth: 1,
        })
    }

    pub(super) async fn run(&mut self, crew: &mut Crew) -> Result<(), Error> {
        let watch = self.report.watch().clone();
        let mut root_failure = None;
        let root =
            What::List { remote: self.remote.clone(), relative: Vec::new(), zone: None, above: Above::default() };
        // Before all else: which files are sent depends on it.
        crew.run(vec![Errand::new(What::Probe, &watch)], |_, result| {
            self.keeps_times = self.put.keep_time && matches!(result, Ok(Output::KeepsTimes(true)));
            Next::nothing()
        })
        .await?;
        self.depth = crew.depth();
        let first = vec![Errand::new(root, &watch)];
        crew.run(first, |errand, result| self.done(errand, result, &mut root_failure)).await?;
        match root_failure {
            Some(error) => Err(error),
            None => self.remove_doomed(crew).await,
        }
    }

    pub(super) fn finish(&mut self) -> Summary {
        self.report.finish()
    }

    fn done(
        &mut self,
        errand: Errand,
        result: Result<Output, Error>,
        root_failure: &mut Option<Error>,
    ) -> Next<Errand> {
        let mut next = Next::nothing();
        if let What::List { .. } = errand.what {
            self.bounds.leave();
        }
        match (&errand.what, result) {
            (What::List { relative, above, .. }, Ok(Output::Listing(listing))) => {
                self.listed(relative.clone(), above.clone(), listing, &mut next);
            }
            // It may not be there yet.
            (What::List { relative, .. }, Err(Error::Refused { .. }))
                if relative.is_empty() && !self.remote.is_empty() =>
            {
                self.make(Vec::new(), &mut next);
            }
            (What::List { relative, .. }, Err(error)) if relative.is_empty() => *root_failure = Some(error),
            (What::List { remote, .. }, Err(error)) => self.report.fail(&Place::Remote(remote.clone()), error),
            (What::Make { remotes, .. }, Err(error)) => {
                self.report.fail_all(remotes.iter().cloned().map(Place::Remote), error);
            }
            (What::Make { remotes, relatives }, Ok(Output::Each(each))) => {
                for ((remote, relative), result) in remotes.iter().zip(relatives).zip(each) {
                    match result {
                        Ok(()) => self.directory_stands(relative, &There::default(), &mut next),
                        Err(error) => self.report.fail(&Place::Remote(remote.clone()), error),
                    }
                }
            }
            (What::Put { item, .. }, Ok(Output::Transferred(done))) => self.report.ended(&errand, item, Ok(done)),
            (What::Put { item, .. }, Err(error)) => self.report.ended(&errand, item, Err(error)),
            (What::Compare { .. }, Ok(Output::Same(true))) => self.report.summary.unchanged += 1,
            (What::Compare { .. }, Ok(Output::Same(false))) => {
                let watch = self.report.watch().clone();
                if let What::Compare { item, otherwise, .. } = errand.what {
                    self.transfer(&item, || Errand::new(*otherwise, &watch), &mut next);
                }
            }
            (What::Compare { item, .. }, Err(error)) => self.report.fail(&Place::Remote(item.remote.clone()), error),
            _ => {}
        }
        self.gather(&mut next);
        next
    }

    /// Directories that are to be made become as few pieces of work as the way to the server is long.
    fn gather(&self, next: &mut Next<Errand>) {
        let (mut remotes, mut relatives) = (Vec::new(), Vec::new());
        next.urgent.retain_mut(|errand| match &mut errand.what {
            What::Make { remotes: some, relatives: theirs } => {
                remotes.append(some);
                relatives.append(theirs);
                false
            }
            _ => true,
        });
        for (remotes, relatives) in remotes.chunks(self.depth).zip(relatives.chunks(self.depth)) {
            let what = What::Make { remotes: remotes.to_vec(), relatives: relatives.to_vec() };
            next.urgent.push(Errand::new(what, self.report.watch()));
        }
    }

    fn listed(&mut self, relative: Vec<u8>, above: Above, listing: Listing, next: &mut Next<Errand>) {
        self.zone = self.zone.or(listing.zone);
        self.uniques.join(&listing.uniques);
        let above = if relative.is_empty() { listing.root } else { above };
        for gap in &listing.gaps {
            self.report.notice(&format!("{}: {gap}", Place::Remote(join(&self.remote, &relative))));
        }
        // Some servers list what is not there as if it were empty.
        if relative.is_empty() && listing.entries.is_empty() && !self.remote.is_empty() {
            return self.make(relative, next);
        }
        let usable = listing.entries.into_iter().filter(|entry| entry.safe_name().is_some());
        let there = There { entries: usable.map(|entry| (entry.name.clone(), entry)).collect(), above };
        self.directory_stands(&relative, &there, next);
    }

    /// A directory of the server is to be made, with those above it where it is the tree's root.
    fn make(&mut self, relative: Vec<u8>, next: &mut Next<Errand>) {
        let remote = if relative.is_empty() { self.remote.clone() } else { join(&self.remote, &relative) };
        if !relative.is_empty() || self.report.is_dry() {
            self.report.did(Deed::MakeDirectory, &Place::Remote(remote.clone()));
        }
        if self.report.is_dry() {
            return self.directory_stands(&relative, &There::default(), next);
        }
        let what = What::Make { remotes: vec![remote], relatives: vec![relative] };
        next.urgent.push(Errand::new(what, self.report.watch()));
    }

    /// Compares a directory here with what is at the server.
    fn directory_stands(&mut self, relative: &[u8], there: &There, next: &mut Next<Errand>) {
        let here = match self.folder.list(relative) {
            Ok(here) => here,
            Err(error) => {
                let path = self.folder.shown(relative);
                self.report.is_incomplete(format!("{}: {error}", path.display()));
                return self.report.fail_here(path, error);
            }
        };
        if relative.is_empty() {
            self.source_is_empty = here.is_empty();
        }
        for (name, facts) in &here {
            let path = join(relative, name);
            let is_part = [PART, STATE].iter().any(|ending| name.ends_with(ending.as_bytes()));
            if is_part {
                self.report.skip(&Place::Local(self.folder.shown(&path)), "a part of a file that is being transferred");
                continue;
            }
            if !self.options.filter.is_meant(&path, facts.kind == Kind::Directory) {
                continue;
            }
            if name.iter().any(|b| matches!(b, b'\r' | b'\n')) {
                let shown = Place::Local(self.folder.shown(&path));
                self.report.skip(&shown, "a name with a line end in it: FTP has no way to send it");
                continue;
            }
            match facts.kind {
                Kind::Directory => self.directory(path, there.entries.get(name), &there.above, next),
                Kind::File => {
                    let part = [name.as_slice(), PART.as_bytes()].concat();
                    let resume = there.entries.contains_key(&part);
                    self.file(path, facts, there.entries.get(name), resume, next);
                }
                Kind::Symlink => self.link(path, there.entries.get(name), next),
                Kind::Other => {
                    self.report.skip(&Place::Local(self.folder.shown(&path)), "neither a file nor a directory");
                }
            }
        }
        if self.options.delete {
            let names: HashSet<&[u8]> = here.iter().map(|(name, _)| name.as_slice()).collect();
            for (name, entry) in &there.entries {
                let path = join(relative, name);
                let base = name.strip_suffix(PART.as_bytes());
                let stays = names.contains(name.as_slice()) || base.is_some_and(|base| names.contains(base));
                let is_directory = entry.is_directory();
                if !stays && self.options.filter.is_meant(&path, is_directory) && self.held.take(&path) {
                    let above = if is_directory { there.above.below(&path, entry) } else { Above::default() };
                    self.doomed.push(Doomed { path, is_directory, above });
                }
            }
        }
    }

    fn directory(&mut self, path: Vec<u8>, there: Option<&Entry>, above: &Above, next: &mut Next<Errand>) {
        if let Err(error) = self.bounds.check(&path) {
            return self.report.fail(&Place::Local(self.folder.shown(&path)), error);
        }
        match there {
            Some(entry) if entry.is_directory() => {
                self.bounds.enter();
                let above = above.below(&path, entry);
                let what = What::List { remote: join(&self.remote, &path), relative: path, zone: self.zone, above };
                next.urgent.push(Errand::new(what, self.report.watch()));
            }
            Some(_) => {
                let place = Place::Remote(join(&self.remote, &path));
                self.report.fail(&place, Error::Usage("no directory, and here is one of that name: remove it first"));
            }
            None => self.make(path, next),
        }
    }

    fn file(&mut self, path: Vec<u8>, here: &Facts, there: Option<&Entry>, resume: bool, next: &mut Next<Errand>) {
        let item = self.report.item(join(&self.remote, &path), self.folder.shown(&path), Some(here.len));
        let from = Origin::Within(self.folder.clone(), path);
        let options = PutOptions { resume, parts_only: true, ..self.put.clone() };
        let put = What::Put { item: item.clone(), from: from.clone(), options };
        let watch = self.report.watch().clone();
        match there {
            Some(entry) if entry.is_directory() => {
                let place = Place::Remote(item.remote);
                self.report.fail(&place, Error::Usage("a directory, and here is a file of that name: remove it first"));
            }
            Some(entry) if self.options.choose == Choose::Checksum => match entry.size == Some(here.len) {
                true => {
                    let what = What::Compare { item, local: from, otherwise: Box::new(put) };
                    next.later.push(Errand::new(what, &watch));
                }
                false => self.transfer(&item, || Errand::new(put, &watch), next),
            },
            Some(entry) if !self.is_wanted(entry, here) => self.report.summary.unchanged += 1,
            _ => self.transfer(&item, || Errand::new(put, &watch), next),
        }
    }

    fn transfer(&mut self, item: &Item, errand: impl FnOnce() -> Errand, next: &mut Next<Errand>) {
        if self.report.found(item, true) {
            next.later.push(errand());
        }
    }

    fn is_wanted(&self, entry: &Entry, here: &Facts) -> bool {
        let verdict = compare(entry, here);
        match self.options.choose {
            Choose::All => true,
            Choose::Newer => matches!(verdict, Verdict::LocalNewer | Verdict::Differ(Some(Ordering::Less))),
            Choose::Changed | Choose::Checksum => match verdict {
                Verdict::Same => false,
                // What was sent at another time is newer there, where its time could not be set.
                Verdict::RemoteNewer => self.keeps_times,
                Verdict::LocalNewer | Verdict::Differ(_) => true,
            },
        }
    }

    fn link(&mut self, path: Vec<u8>, there: Option<&Entry>, next: &mut Next<Errand>) {
        let shown = self.folder.shown(&path);
        let facts = match self.options.links {
            Links::Follow => std::fs::metadata(&shown).ok().filter(std::fs::Metadata::is_file),
            _ => return self.report.skip(&Place::Local(shown), "a symbolic link"),
        };
        let Some(facts) = facts else {
            return self.report.skip(&Place::Local(shown), "a symbolic link that leads to no file");
        };
        let modified = facts.modified().unwrap_or(std::time::UNIX_EPOCH);
        let facts = Facts { kind: Kind::File, len: facts.len(), modified, id: (0, 0) };
        if there.is_some_and(|entry| !entry.is_directory() && !self.is_wanted(entry, &facts)) {
            self.report.summary.unchanged += 1;
            return;
        }
        let item = self.report.item(join(&self.remote, &path), shown.clone(), Some(facts.len));
        let put = What::Put { item: item.clone(), from: Origin::Path(shown), options: self.put.clone() };
        let watch = self.report.watch().clone();
        self.transfer(&item, || Errand::new(put, &watch), next);
    }

    /// Removes at the server what is not here: files first, then directories from the deepest up.
    async fn remove_doomed(&mut self, crew: &mut Crew) -> Result<(), Error> {
        let doomed = std::mem::take(&mut self.doomed);
        if !self.report.may_remove(self.source_is_empty, !doomed.is_empty()) {
            return Ok(());
        }
        let watch = self.report.watch().clone();
        let (mut files, mut directories) = (Vec::new(), BTreeMap::<usize, Vec<Vec<u8>>>::new());
        let mut lists = Vec::new();
        let mut sort = |doomed: Doomed, lists: &mut Vec<Errand>| match doomed {
            Doomed { path, is_directory: false, .. } => files.push(path),
            Doomed { path, above, .. } => {
                let depth = path.iter().filter(|&&b| b == b'/').count();
                directories.entry(depth).or_default().push(path.clone());
                let what = What::List { remote: join(&self.remote, &path), relative: path, zone: self.zone, above };
                lists.push(Errand::new(what, &watch));
            }
        };
        doomed.into_iter().for_each(|doomed| sort(doomed, &mut lists));
        let (filter, report, bounds) = (&self.options.filter, &mut self.report, &mut self.bounds);
        let (held, uniques) = (&mut self.held, &mut self.uniques);
        crew.run(lists, |errand, result| {
            let mut next = Next::nothing();
            bounds.leave();
            match (&errand.what, result) {
                (What::List { relative, above, .. }, Ok(Output::Listing(listing))) => {
                    uniques.join(&listing.uniques);
                    for entry in &listing.entries {
                        let Some(name) = entry.safe_name() else { continue };
                        let (path, is_directory) = (join(relative, name), entry.is_directory());
                        if !filter.is_meant(&path, is_directory) {
                            continue;
                        }
                        let place = || Place::Remote(join(&self.remote, &path));
                        // What is in it may be what is to stay.
                        if let Some(same) = above.find(entry).filter(|_| is_directory && uniques.differ()) {
                            let why = format!("it is the directory {} above it", above_it(&self.remote, same));
                            report.skip(&place(), &why);
                            continue;
                        }
                        match bounds.check(&path) {
                            Err(error) if is_directory => report.fail(&place(), error),
                            _ if !held.take(&path) => {}
                            _ => {
                                let above = if is_directory { above.below(&path, entry) } else { Above::default() };
                                let before = next.urgent.len();
                                sort(Doomed { path, is_directory, above }, &mut next.urgent);
                                (before..next.urgent.len()).for_each(|_| bounds.enter());
                            }
                        }
                    }
                }
                (What::List { remote, .. }, Err(error)) => report.fail(&Place::Remote(remote.clone()), error),
                _ => {}
            }
            next
        })
        .await?;
        self.remove(crew, files, false).await?;
        for (_, directories) in directories.into_iter().rev() {
            self.remove(crew, directories, true).await?;
        }
        if let Some(error) = self.held.left() {
            self.report.fail(&Place::Remote(self.remote.clone()), error);
        }
        Ok(())
    }

    async fn remove(&mut self, crew: &mut Crew, paths: Vec<Vec<u8>>, directories: bool) -> Result<(), Error> {
        let deed = if directories { Deed::RemoveDirectory } else { Deed::Remove };
        let remotes: Vec<Vec<u8>> = paths.into_iter().map(|path| join(&self.remote, &path)).collect();
        if self.report.is_dry() {
            remotes.into_iter().for_each(|remote| self.report.did(deed, &Place::Remote(remote)));
            return Ok(());
        }
        let watch = self.report.watch().clone();
        let what = |remotes: &[Vec<u8>]| What::Remove { remotes: remotes.to_vec(), directories, again: false };
        let errands = remotes.chunks(self.depth).map(|remotes| Errand::new(what(remotes), &watch)).collect();
        let (report, is_full) = (&mut self.report, self.held.left().is_some());
        crew.run(errands, |errand, result| {
            match (errand.what, result) {
                (What::Remove { remotes, .. }, Ok(Output::Each(each))) => {
                    for (remote, result) in remotes.into_iter().zip(each) {
                        match result {
                            Ok(()) => report.did(deed, &Place::Remote(remote)),
                            // Not all that is in it was held: that is told of as a whole.
                            Err(Error::Refused { .. }) if directories && is_full => {}
                            Err(error) => report.fail(&Place::Remote(remote), error),
                        }
                    }
                }
                (What::Remove { remotes, .. }, Err(error)) => {
                    report.fail_all(remotes.into_iter().map(Place::Remote), error);
                }
                _ => {}
            }
            Next::nothing()
        })
        .await
    }
}
