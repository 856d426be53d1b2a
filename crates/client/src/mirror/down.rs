//! From the server to here.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use port21_proto::listing::{Entry, EntryKind, Precision};
use port21_proto::text::Shown;

use super::compare::{Verdict, compare};
use super::report::{Report, Summary};
use super::{Choose, Links, MirrorOptions, above_it};
use crate::above::{Above, Uniques};
use crate::bounds::Bounds;
use crate::crew::{Crew, Next};
use crate::errand::{Errand, Listing, Origin, Output, Target, What, spot};
use crate::error::Error;
use crate::file::{PART, local};
use crate::folder::{Facts, Folder, Kind};
use crate::get::GetOptions;
use crate::ranges::STATE;
use crate::tree::join;
use crate::watch::{Deed, Event, Item, Place};

pub(super) struct Down<'a> {
    remote: Vec<u8>,
    here: &'a Path,
    /// In a dry run it may not be there.
    folder: Option<Arc<Folder>>,
    options: &'a MirrorOptions,
    get: GetOptions,
    report: Report,
    bounds: Bounds,
    /// What is here, and not at the server.
    doomed: Vec<Vec<u8>>,
    source_is_empty: bool,
    zone: Option<crate::zone::Zone>,
    uniques: Uniques,
    /// Whether names that differ in case alone name one file here, once that was looked at.
    folds_case: Option<bool>,
}

impl<'a> Down<'a> {
    pub(super) fn new(
        remote: &[u8],
        here: &'a Path,
        options: &'a MirrorOptions,
        get: GetOptions,
        report: Report,
        bounds: Bounds,
    ) -> Result<Down<'a>, Error> {
        let folder = match report.is_dry() {
            false => Some(Folder::make(here).map_err(local(here))?),
            true => match Folder::open(here) {
                Ok(folder) => Some(folder),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(local(here)(error)),
            },
        };
        Ok(Down {
            remote: remote.to_vec(),
            here,
            folder: folder.map(Arc::new),
            options,
            get,
            report,
            bounds,
            doomed: Vec::new(),
            source_is_empty: false,
            zone: None,
            uniques: Uniques::default(),
            folds_case: None,
        })
    }

    pub(super) async fn run(&mut self, crew: &mut Crew) -> Result<(), Error> {
        let root =
            What::List { remote: self.remote.clone(), relative: Vec::new(), zone: None, above: Above::default() };
        let mut root_failure = None;
        let first = vec![Errand::new(root, self.report.watch())];
        crew.run(first, |errand, result| self.done(errand, result, &mut root_failure)).await?;
        match root_failure {
            Some(error) => Err(error),
            None => {
                self.remove_doomed();
                Ok(())
            }
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
                self.listed(relative, above, listing, &mut next);
            }
            (What::List { relative, .. }, Err(error)) if relative.is_empty() => *root_failure = Some(error),
            (What::List { remote, .. }, Err(error)) => {
                let place = Place::Remote(remote.clone());
                self.report.is_incomplete(format!("{place}: {error}"));
                self.report.fail(&place, error);
            }
            (What::Get { item, .. }, Ok(Output::Transferred(done))) => self.report.ended(&errand, item, Ok(done)),
            (What::Get { item, .. }, Err(error)) => self.report.ended(&errand, item, Err(error)),
            (What::Compare { .. }, Ok(Output::Same(true))) => self.report.summary.unchanged += 1,
            (What::Compare { .. }, Ok(Output::Same(false))) => {
                let watch = self.report.watch().clone();
                if let What::Compare { item, otherwise, .. } = errand.what {
                    self.transfer(&item, || Errand::new(*otherwise, &watch), &mut next);
                }
            }
            (What::Look { item, to }, Ok(Output::Size(Some(size)))) => {
                let (item, to) = (Item { size: Some(size), ..item.clone() }, to.clone());
                self.wanted_link(item, to, &mut next);
            }
            (What::Look { item, .. }, Ok(_)) => {
                self.report.skip(&Place::Remote(item.remote.clone()), "a link that leads to no file");
            }
            (What::Compare { item, .. } | What::Look { item, .. }, Err(error)) => {
                self.report.fail(&Place::Remote(item.remote.clone()), error);
            }
            _ => {}
        }
        next
    }

    /// Compares a directory of the server with what is here.
    fn listed(&mut self, relative: &[u8], above: &Above, listing: Listing, next: &mut Next<Errand>) {
        self.zone = self.zone.or(listing.zone);
        self.uniques.join(&listing.uniques);
        let above = if relative.is_empty() { &listing.root } else { above };
        let place = match relative {
            b"" => Place::Remote(self.remote.clone()),
            relative => Place::Remote(join(&self.remote, relative)),
        };
        for gap in &listing.gaps {
            self.report.gap(&place, gap);
        }
        if relative.is_empty() {
            self.source_is_empty = listing.entries.is_empty();
        }
        let here = self.here(relative);
        let mut entries: Vec<&Entry> = listing.entries.iter().collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.dedup_by(|a, b| a.name == b.name);
        let mut lower = HashMap::new();
        for entry in &entries {
            let Some(name) = self.usable_name(relative, entry) else { continue };
            let path = join(relative, name);
            if !self.options.filter.is_meant(&path, entry.is_directory()) {
                continue;
            }
            if let Some(first) = lower.insert(String::from_utf8_lossy(name).to_lowercase(), name)
                && self.collides(relative, first, name)
            {
                continue;
            }
            match entry.kind {
                EntryKind::File => self.file(path, entry, here.get(name), next),
                EntryKind::Symlink => self.link(path, entry, here.get(name), next),
                _ if entry.is_directory() => self.directory(path, entry, above, here.get(name), next),
                _ => self.report.skip(&Place::Remote(join(&self.remote, &path)), "neither a file nor a directory"),
            }
        }
        if self.options.delete {
            let there: HashMap<&[u8], ()> = entries.iter().map(|entry| (entry.name.as_slice(), ())).collect();
            for (name, facts) in &here {
                let path = join(relative, name);
                let base = [PART, STATE].iter().find_map(|ending| name.strip_suffix(ending.as_bytes()));
                // What is left aside of a file that is still to come stays.
                let stays = there.contains_key(name.as_slice()) || base.is_some_and(|base| there.contains_key(base));
                if !stays && self.options.filter.is_meant(&path, facts.kind == Kind::Directory) {
                    self.doomed.push(path);
                }
            }
        }
    }

    /// What is in a directory here.
    fn here(&mut self, relative: &[u8]) -> HashMap<Vec<u8>, Facts> {
        let Some(folder) = &self.folder else { return HashMap::new() };
        match folder.list(relative) {
            Ok(entries) => entries.into_iter().collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
            // In a dry run something else may stand in its place.
            Err(_) if self.report.is_dry() => HashMap::new(),
            Err(error) => {
                let path = folder.shown(relative);
                self.report.fail_here(path, error);
                HashMap::new()
            }
        }
    }

    /// The name of an entry, where it names something in the listed directory itself.
    fn usable_name<'e>(&mut self, relative: &[u8], entry: &'e Entry) -> Option<&'e [u8]> {
        let place = || Place::Remote(join(&join(&self.remote, relative), &entry.name));
        match entry.safe_name() {
            Some(name) if [PART, STATE].iter().any(|ending| name.ends_with(ending.as_bytes())) => {
                let place = place();
                self.report.skip(&place, "a part of a file that is being transferred");
                None
            }
            Some(name) => Some(name),
            None => {
                let place = place();
                self.report.is_incomplete(format!("{place}: the server lists a name that is none"));
                self.report.skip(&place, "the server lists a name that is none, or leads out of its directory");
                None
            }
        }
    }

    /// Two names that differ in case alone; whether they are one here, so that only the first can be had.
    fn collides(&mut self, relative: &[u8], first: &[u8], second: &[u8]) -> bool {
        let folds = *self.folds_case.get_or_insert_with(|| self.folder.as_deref().is_some_and(folds_case));
        let directory = Place::Remote(join(&self.remote, relative));
        let (first, second) = (Shown(first), Shown(second));
        if folds {
            let place = Place::Remote(join(&join(&self.remote, relative), second.0));
            self.report.skip(&place, "here it is the same name as another that differs in case alone");
        } else {
            self.report.notice(&format!("{directory}: {first} and {second} differ in case alone"));
        }
        folds
    }

    fn directory(
        &mut self,
        path: Vec<u8>,
        entry: &Entry,
        above: &Above,
        here: Option<&Facts>,
        next: &mut Next<Errand>,
    ) {
        let remote = join(&self.remote, &path);
        if let Some(same) = above.find(entry).filter(|_| self.uniques.differ()) {
            let why = format!("it is the directory {} above it", above_it(&self.remote, same));
            return self.report.skip(&Place::Remote(remote), &why);
        }
        if let Err(error) = self.bounds.check(&path) {
            let place = Place::Remote(remote);
            self.report.is_incomplete(format!("{place}: {error}"));
            return self.report.fail(&place, error);
        }
        let shown = self.shown(&path);
        match here.map(|facts| facts.kind) {
            Some(Kind::Directory) => {}
            Some(_) if !self.options.delete => {
                let source = io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "no directory, and the server has one of that name: it is replaced with --delete alone",
                );
                return self.report.fail_here(shown, source);
            }
            found => {
                if let Some(folder) = self.folder.as_ref().filter(|_| !self.report.is_dry()) {
                    let replaced = match found {
                        Some(_) => folder.spot(&path).and_then(|spot| spot.remove()),
                        None => Ok(()),
                    };
                    if let Err(error) = replaced.and_then(|()| folder.make_directory(&path)) {
                        return self.report.fail_here(shown, error);
                    }
                }
                self.report.did(Deed::MakeDirectory, &Place::Local(shown));
            }
        }
        self.bounds.enter();
        let above = above.below(&path, entry);
        let what = What::List { remote, relative: path, zone: self.zone, above };
        next.urgent.push(Errand::new(what, self.report.watch()));
    }

    fn file(&mut self, path: Vec<u8>, entry: &Entry, here: Option<&Facts>, next: &mut Next<Errand>) {
        let item = self.report.item(join(&self.remote, &path), self.shown(&path), entry.size);
        let digest = match here {
            Some(Facts { kind: Kind::Directory, .. }) => {
                let source =
                    io::Error::new(io::ErrorKind::IsADirectory, "a directory, and the server has a file of that name");
                return self.report.fail_here(item.local, source);
            }
            Some(facts @ Facts { kind: Kind::File, .. }) => match self.is_wanted(entry, facts) {
                Wanted::No => {
                    self.report.summary.unchanged += 1;
                    return;
                }
                Wanted::Yes => false,
                Wanted::IfDigestDiffers => true,
            },
            _ => false,
        };
        let options = self.get_options(&path, entry);
        let Some(folder) = self.folder.clone() else {
            self.report.found(&item, false);
            return;
        };
        let to = Target::Within(folder.clone(), path.clone());
        let get = What::Get { item: item.clone(), to, options, insist: false };
        if digest {
            let local = Origin::Within(folder, path);
            let what = What::Compare { item, local, otherwise: Box::new(get) };
            return next.later.push(Errand::new(what, self.report.watch()));
        }
        let watch = self.report.watch().clone();
        self.transfer(&item, || Errand::new(get, &watch), next);
    }

    fn transfer(&mut self, item: &Item, errand: impl FnOnce() -> Errand, next: &mut Next<Errand>) {
        if self.report.found(item, false) {
            next.later.push(errand());
        }
    }

    fn is_wanted(&self, entry: &Entry, here: &Facts) -> Wanted {
        let verdict = compare(entry, here);
        match self.options.choose {
            Choose::All => Wanted::Yes,
            Choose::Changed if verdict == Verdict::Same => Wanted::No,
            Choose::Changed => Wanted::Yes,
            Choose::Newer if matches!(verdict, Verdict::RemoteNewer | Verdict::Differ(Some(Ordering::Greater))) => {
                Wanted::Yes
            }
            Choose::Newer => Wanted::No,
            Choose::Checksum if entry.size.is_some_and(|size| size != here.len) => Wanted::Yes,
            Choose::Checksum => Wanted::IfDigestDiffers,
        }
    }

    /// How a file is fetched: what the listing has told is not asked for again.
    fn get_options(&self, path: &[u8], entry: &Entry) -> GetOptions {
        let part = self.folder.as_ref().and_then(|folder| {
            let spot = folder.spot(path).ok()?;
            spot.beside(crate::part::aside_name(spot.name(), PART)).look().ok()?
        });
        let time = entry.modified.filter(|modified| modified.utc || modified.precision >= Precision::Minute);
        GetOptions {
            resume: part.is_some(),
            parts_only: true,
            known_size: entry.size,
            known_time: time.map(|modified| modified.at),
            rough_time: entry.modified.map(|modified| modified.at),
            ..self.get.clone()
        }
    }

    fn link(&mut self, path: Vec<u8>, entry: &Entry, here: Option<&Facts>, next: &mut Next<Errand>) {
        let place = Place::Remote(join(&self.remote, &path));
        match self.options.links {
            Links::Skip => self.report.skip(&place, "a symbolic link"),
            Links::Follow => {
                let item = self.report.item(join(&self.remote, &path), self.shown(&path), None);
                let Some(folder) = self.folder.clone() else {
                    self.report.found(&item, false);
                    return;
                };
                let what = What::Look { item, to: Target::Within(folder, path) };
                next.later.push(Errand::new(what, self.report.watch()));
            }
            Links::Keep => match entry.target.as_deref() {
                None => self.report.skip(&place, "a symbolic link, and the server does not tell where it leads"),
                Some(target) if !stays_within(&path, target) => {
                    self.report.skip(&place, "a symbolic link that leads out of the tree");
                }
                Some(target) => self.make_link(&path, target, here),
            },
        }
    }

    fn make_link(&mut self, path: &[u8], target: &[u8], here: Option<&Facts>) {
        let shown = self.shown(path);
        let Some(folder) = self.folder.clone() else { return self.report.did(Deed::Link, &Place::Local(shown)) };
        let there = || folder.spot(path).and_then(|spot| spot.read_link()).is_ok_and(|there| there == target);
        match here.map(|facts| facts.kind) {
            Some(Kind::Symlink) if there() => self.report.summary.unchanged += 1,
            Some(Kind::Directory) => {
                let source =
                    io::Error::new(io::ErrorKind::IsADirectory, "a directory, and the server has a link of that name");
                self.report.fail_here(shown, source);
            }
            _ => {
                let made = if self.report.is_dry() { Ok(()) } else { folder.spot(path).and_then(|s| s.link(target)) };
                match made {
                    Ok(()) => self.report.did(Deed::Link, &Place::Local(shown)),
                    Err(error) => self.report.fail_here(shown, error),
                }
            }
        }
    }

    /// A link leads to a file of this size: it is fetched where what is here is not as long, or all is fetched.
    fn wanted_link(&mut self, item: Item, to: Target, next: &mut Next<Errand>) {
        if let Target::Within(folder, path) = &to
            && self.options.choose != Choose::All
            && let Ok(Some(Facts { kind: Kind::File, len, .. })) = folder.look(path)
            && Some(len) == item.size
        {
            self.report.summary.unchanged += 1;
            return;
        }
        let options = GetOptions { known_size: item.size, ..self.get.clone() };
        let watch = self.report.watch().clone();
        let get = What::Get { item: item.clone(), to, options, insist: false };
        self.transfer(&item, || Errand::new(get, &watch), next);
    }

    fn remove_doomed(&mut self) {
        let doomed = std::mem::take(&mut self.doomed);
        let Some(folder) = self.folder.clone() else { return };
        if !self.report.may_remove(self.source_is_empty, !doomed.is_empty()) {
            return;
        }
        for path in doomed {
            self.remove(&folder, path);
        }
    }

    /// Removes what is here, and all that is in it; a link itself, never what it leads to. What the filter leaves out stays,
    /// and the directories that it is in.
    fn remove(&mut self, folder: &Folder, path: Vec<u8>) {
        enum Step {
            Look(Vec<u8>),
            Emptied(Vec<u8>),
        }
        let mut steps = vec![Step::Look(path)];
        while let Some(step) = steps.pop() {
            let (path, emptied) = match step {
                Step::Look(path) => (path, false),
                Step::Emptied(path) => (path, true),
            };
            let is_directory = folder.look(&path).ok().flatten().is_some_and(|facts| facts.kind == Kind::Directory);
            if !self.options.filter.is_meant(&path, is_directory) {
                continue;
            }
            if is_directory && !emptied {
                let below = folder.list(&path).unwrap_or_default();
                steps.push(Step::Emptied(path.clone()));
                steps.extend(below.into_iter().map(|(name, _)| Step::Look(join(&path, &name))));
                continue;
            }
            let shown = folder.shown(&path);
            let removed = match (self.report.is_dry(), is_directory) {
                (true, _) => Ok(()),
                (false, true) => spot(folder, &path).map(|spot| spot.remove_directory()).unwrap_or(Ok(())),
                (false, false) => spot(folder, &path).map(|spot| spot.remove()).unwrap_or(Ok(())),
            };
            match removed {
                Ok(()) => {
                    let deed = if is_directory { Deed::RemoveDirectory } else { Deed::Remove };
                    self.report.did(deed, &Place::Local(shown));
                }
                Err(error) if is_directory && error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    self.report.watch().event(&Event::Skipped(&Place::Local(shown), "what is left out is in it"));
                }
                Err(error) => self.report.fail_here(shown, error),
            }
        }
    }

    fn shown(&self, path: &[u8]) -> std::path::PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        self.here.join(std::ffi::OsStr::from_bytes(path))
    }
}

enum Wanted {
    Yes,
    No,
    IfDigestDiffers,
}

/// Whether a link's text leads from the link to a place in the tree: a relative path that goes up no further than to the
/// tree's root, and up at its beginning alone: what is named may be a link itself, and `..` behind it leads elsewhere.
fn stays_within(link: &[u8], target: &[u8]) -> bool {
    if target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    let mut named = false;
    let mut depth = link.split(|&b| b == b'/').count() as i64 - 1;
    target.split(|&b| b == b'/').all(|part| {
        match part {
            b".." => depth -= 1,
            b"" | b"." => return true,
            _ => named = true,
        }
        depth >= 0 && !(named && part == b"..")
    })
}

/// Whether names that differ in case alone name one file in this directory: tried, for file systems do not tell.
fn folds_case(folder: &Folder) -> bool {
    let stamp = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let (upper, lower) = (format!(".Port21-Case-{stamp}"), format!(".port21-case-{stamp}"));
    let Ok(spot) = folder.spot(upper.as_bytes()) else { return false };
    let Ok(made) = spot.open(rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CREATE | rustix::fs::OFlags::EXCL) else {
        return false;
    };
    drop(made);
    let folds = matches!(folder.look(lower.as_bytes()), Ok(Some(_)));
    // It is empty, and of no use to anybody.
    let _ = spot.remove();
    folds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_stay_within_the_tree() {
        for (link, target, stays) in [
            ("a", "b", true),
            ("a", "../b", false),
            ("d/a", "../b", true),
            ("d/a", "../../b", false),
            ("d/a", ".././b/./c", true),
            ("d/a", "x/../b", false),
            ("d/a", "x/../../../b", false),
            ("a", "/etc/passwd", false),
            ("a", "", false),
            ("a", "b/..", false),
        ] {
            assert_eq!(stays_within(link.as_bytes(), target.as_bytes()), stays, "{link} -> {target}");
        }
    }

    #[test]
    fn this_file_system_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("aA"), "").unwrap();
        let folds = dir.path().join("Aa").exists();
        assert_eq!(folds_case(&Folder::open(dir.path()).unwrap()), folds);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
