//! A storage in which not everything may be done everywhere.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use port21_proto::FtpPath;
use port21_proto::listing::{Entry, EntryKind};
use port21_proto::server::{ListRequest, Part, Representation, StorageError};
use port21_proto::verb::Permission;

use super::rules::Rules;
use super::{Answer, Hold, Listing, Piece, Source, Storage, Upload, UploadRequest};

/// Asks the [`Rules`] of an account before each operation, and leaves out of listings what it may not know of. What is
/// refused is refused before the storage below is asked: the answer does not tell what there is.
///
/// The session has asked before whether the account may do such a thing anywhere; the fact `perm` is narrowed here to
/// what may be done with each entry, so the storage below is to tell it for [`Permissions::ALL`](port21_proto::verb::Permissions::ALL).
pub struct Guarded {
    inner: Arc<dyn Storage>,
    rules: Arc<Rules>,
}

impl Guarded {
    /// This storage, under these rules. Where they treat all paths alike, it is the storage itself.
    pub fn over(inner: Arc<dyn Storage>, rules: Rules) -> Arc<dyn Storage> {
        if rules.is_uniform() { inner } else { Arc::new(Guarded { inner, rules: Arc::new(rules) }) }
    }

    fn may(&self, path: &FtpPath, permission: Permission) -> bool {
        self.rules.at(path).allows(permission)
    }

    fn check(&self, path: &FtpPath, permission: Permission) -> Result<(), StorageError> {
        if self.may(path, permission) { Ok(()) } else { Err(StorageError::Denied) }
    }

    /// Does what `permission` is needed for.
    fn guard<'a, T: Send + 'a>(
        &'a self,
        path: &'a FtpPath,
        permission: Permission,
        answer: impl FnOnce() -> Answer<'a, T>,
    ) -> Answer<'a, T> {
        match self.check(path, permission) {
            Ok(()) => answer(),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn listing(&self, request: &ListRequest, inner: Box<dyn Listing>, removes: bool) -> GuardedListing {
        GuardedListing {
            rules: Arc::clone(&self.rules),
            base: request.path.clone(),
            itself: !inner.is_directory() && request.pattern.is_none(),
            directory: Some(request.path.clone()),
            removes,
            inner,
        }
    }

    /// Nothing may become possible with a file by giving it another name: who may not read it there must not here.
    fn gains(&self, from: &FtpPath, to: &FtpPath) -> bool {
        let (here, there) = (self.rules.at(from), self.rules.at(to));
        [Permission::Read, Permission::Overwrite, Permission::Delete, Permission::Attributes]
            .into_iter()
            .any(|permission| there.allows(permission) && !here.allows(permission))
    }
}

impl Storage for Guarded {
    fn local_path(&self, path: &FtpPath) -> Option<PathBuf> {
        self.inner.local_path(path)
    }

    fn open_read<'a>(&'a self, path: &'a FtpPath, from: u64) -> Answer<'a, Source> {
        self.guard(path, Permission::Read, || self.inner.open_read(path, from))
    }

    fn create<'a>(&'a self, request: UploadRequest<'a>) -> Answer<'a, Box<dyn Upload>> {
        Box::pin(async move {
            self.check(request.path, Permission::Write)?;
            let overwrite = request.overwrite && self.may(request.path, Permission::Overwrite);
            let upload = self.inner.create(UploadRequest { overwrite, ..request }).await?;
            // A unique name is known only now.
            if let Err(error) = self.check(upload.path(), Permission::Write) {
                upload.let_go().await;
                return Err(error);
            }
            Ok(upload)
        })
    }

    fn list<'a>(&'a self, request: &'a ListRequest) -> Answer<'a, Box<dyn Listing>> {
        Box::pin(async move {
            self.check(&request.path, Permission::List)?;
            let inner = self.inner.list(request).await?;
            Ok(Box::new(self.listing(request, inner, false)) as Box<dyn Listing>)
        })
    }

    fn list_to_remove<'a>(&'a self, request: &'a ListRequest) -> Answer<'a, Box<dyn Listing>> {
        Box::pin(async move {
            self.check(&request.path, Permission::List)?;
            self.check(&request.path, Permission::Delete)?;
            let inner = self.inner.list_to_remove(request).await?;
            Ok(Box::new(self.listing(request, inner, true)) as Box<dyn Listing>)
        })
    }

    fn at_rest<'a>(&'a self, directory: &'a FtpPath) -> Answer<'a, ()> {
        self.inner.at_rest(directory)
    }

    fn hold<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, Box<dyn Hold>> {
        Box::pin(async move {
            self.check(path, Permission::Read)?;
            self.check(path, Permission::Delete)?;
            self.inner.hold(path).await
        })
    }

    fn stat<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, Entry> {
        Box::pin(async move {
            self.check(path, Permission::List)?;
            let mut entry = self.inner.stat(path).await?;
            narrow(&self.rules, &mut entry, path);
            Ok(entry)
        })
    }

    fn size<'a>(&'a self, path: &'a FtpPath, representation: Representation) -> Answer<'a, u64> {
        self.guard(path, Permission::List, || self.inner.size(path, representation))
    }

    fn part<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, Part> {
        self.guard(path, Permission::List, || self.inner.part(path))
    }

    /// Into what may be known of: a directory that may only be filled is entered too.
    fn enter<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()> {
        if self.rules.is_visible(path) {
            self.inner.enter(path)
        } else {
            Box::pin(std::future::ready(Err(StorageError::Denied)))
        }
    }

    /// A directory moves with all that is in it: that is refused where rules tell some of it apart, at either place.
    fn rename<'a>(&'a self, from: &'a FtpPath, to: &'a FtpPath, overwrite: bool) -> Answer<'a, ()> {
        Box::pin(async move {
            self.check(from, Permission::Rename)?;
            self.check(to, Permission::Rename)?;
            if self.gains(from, to) {
                return Err(StorageError::Denied);
            }
            let told_apart = self.rules.differs_below(from) || self.rules.differs_below(to);
            if told_apart && self.inner.stat(from).await.is_ok_and(|entry| entry.kind != EntryKind::File) {
                return Err(StorageError::Denied);
            }
            let overwrite = overwrite && self.may(to, Permission::Overwrite);
            self.inner.rename(from, to, overwrite).await
        })
    }

    fn remove_file<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()> {
        self.guard(path, Permission::Delete, || self.inner.remove_file(path))
    }

    fn remove_directory<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()> {
        self.guard(path, Permission::Delete, || self.inner.remove_directory(path))
    }

    fn make_directory<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, ()> {
        self.guard(path, Permission::MakeDirectory, || self.inner.make_directory(path))
    }

    fn set_modified<'a>(&'a self, path: &'a FtpPath, at: Timestamp) -> Answer<'a, ()> {
        self.guard(path, Permission::Attributes, || self.inner.set_modified(path, at))
    }

    fn set_mode<'a>(&'a self, path: &'a FtpPath, mode: u32) -> Answer<'a, ()> {
        self.guard(path, Permission::Attributes, || self.inner.set_mode(path, mode))
    }

    /// None where not everything may be done everywhere: a link would be one more name for what it leads to, with what may
    /// be done under that name.
    fn link<'a>(&'a self, _target: &'a FtpPath, _link: &'a FtpPath) -> Answer<'a, ()> {
        Box::pin(std::future::ready(Err(StorageError::Denied)))
    }

    fn available<'a>(&'a self, path: &'a FtpPath) -> Answer<'a, u64> {
        self.guard(path, Permission::List, || self.inner.available(path))
    }
}

/// A listing without what the account may not know of.
struct GuardedListing {
    rules: Arc<Rules>,
    /// What was asked for.
    base: FtpPath,
    /// The one entry is what was asked for itself, under its last part.
    itself: bool,
    /// The directory of the entries that follow; nothing where they may not be told.
    directory: Option<FtpPath>,
    /// All of it is to be removed: what may not be is an error, told or not.
    removes: bool,
    inner: Box<dyn Listing>,
}

impl Listing for GuardedListing {
    fn is_directory(&self) -> bool {
        self.inner.is_directory()
    }

    fn next(&mut self) -> Answer<'_, Option<Piece>> {
        Box::pin(async move {
            while let Some(piece) = self.inner.next().await? {
                match piece {
                    Piece::Directory(below) => {
                        let path = self.base.join(&below).ok();
                        let shown = |path: &FtpPath| self.removes || self.rules.at(path).allows(Permission::List);
                        self.directory = path.filter(shown);
                        if self.directory.is_some() {
                            return Ok(Some(Piece::Directory(below)));
                        }
                    }
                    Piece::Entries(entries) if self.removes => {
                        if !entries.iter().all(|entry| self.may_go(entry)) {
                            return Err(StorageError::Denied);
                        }
                        return Ok(Some(Piece::Entries(entries)));
                    }
                    Piece::Entries(mut entries) => {
                        entries.retain_mut(|entry| self.shows(entry));
                        if !entries.is_empty() {
                            return Ok(Some(Piece::Entries(entries)));
                        }
                    }
                }
            }
            Ok(None)
        })
    }
}

impl GuardedListing {
    /// The path of an entry; nothing where no session can say it.
    fn path(&self, entry: &Entry) -> Option<FtpPath> {
        let directory = self.directory.as_ref()?;
        match entry.name.as_slice() {
            _ if self.itself => Some(self.base.clone()),
            b"." => Some(directory.clone()),
            b".." => Some(directory.parent()),
            name => directory.join(name).ok(),
        }
    }

    fn may_go(&self, entry: &Entry) -> bool {
        self.path(entry).is_some_and(|path| self.rules.at(&path).allows(Permission::Delete))
    }

    /// Whether the entry is told; and what may be done with it is made true.
    fn shows(&self, entry: &mut Entry) -> bool {
        // A name that no session can say is nobody's business.
        let Some(path) = self.path(entry) else { return false };
        narrow(&self.rules, entry, &path);
        self.rules.is_visible(&path)
    }
}

/// Takes out of the fact `perm` (RFC 3659 section 7.5.5) what the rules do not allow. What may be made in a directory is
/// a matter of the names in it; and one in which rules tell some apart keeps its name (see [`Guarded`]'s `rename`).
fn narrow(rules: &Rules, entry: &mut Entry, path: &FtpPath) {
    let Some(perm) = &mut entry.perm else { return };
    let (own, inside, is_file) = (rules.at(path), rules.inside(path), entry.kind == EntryKind::File);
    perm.retain(|letter| match letter {
        b'a' | b'w' => own.allows(Permission::Write) && own.allows(Permission::Overwrite),
        b'c' => inside.allows(Permission::Write),
        b'd' => own.allows(Permission::Delete),
        b'e' => rules.is_visible(path),
        b'f' => own.allows(Permission::Rename) && (is_file || !rules.differs_below(path)),
        b'l' => own.allows(Permission::List),
        b'm' => inside.allows(Permission::MakeDirectory),
        b'p' => inside.allows(Permission::Delete),
        b'r' => own.allows(Permission::Read),
        _ => true,
    });
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::tz::TimeZone;
    use port21_proto::server::{FactSet, ListFormat, ListOptions, Placement};
    use port21_proto::verb::Permissions;

    use super::*;

    use crate::storage::rules::Rule;
    use crate::storage::{CommitMode, LocalFs, LocalSettings};

    const DROP: Permissions = Permissions::NONE.with(Permission::Write);

    /// A directory, and a storage over it in which only some things may be done.
    fn place(everywhere: Permissions, rules: &[(&str, Permissions)]) -> (tempfile::TempDir, Arc<dyn Storage>) {
        let dir = tempfile::tempdir().unwrap();
        for name in ["pub", "in", "private", "private/deep"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        for name in ["pub/file", "in/there", "private/secret", "private/deep/open"] {
            fs::write(dir.path().join(name), "text").unwrap();
        }
        let rules =
            rules.iter().map(|(paths, permissions)| Rule { paths: paths.parse().unwrap(), permissions: *permissions });
        let rules = Rules::new(everywhere, rules.collect());
        let files = LocalFs::open(dir.path(), LocalSettings::default()).unwrap();
        (dir, Guarded::over(Arc::new(files), rules))
    }

    fn path(text: &str) -> FtpPath {
        FtpPath::new(text).unwrap()
    }

    async fn upload(files: &dyn Storage, name: &str, placement: Placement) -> Result<FtpPath, StorageError> {
        let (path, commit) = (path(name), CommitMode::Atomic);
        let (announced, told, representation) = (None, None, Representation::Image);
        let request = UploadRequest {
            path: &path,
            placement,
            overwrite: true,
            announced,
            commit,
            told,
            representation,
            adds: false,
        };
        let upload = files.create(request).await?;
        let path = upload.path().clone();
        upload.commit().await?;
        Ok(path)
    }

    /// The names with their fact `perm`, in order.
    async fn listed(files: &dyn Storage, request: ListRequest) -> Result<Vec<String>, StorageError> {
        let mut listing = files.list(&request).await?;
        let mut names = Vec::new();
        while let Some(piece) = listing.next().await? {
            match piece {
                Piece::Directory(name) => names.push(format!("{}:", String::from_utf8(name).unwrap())),
                Piece::Entries(entries) => names.extend(entries.into_iter().map(|entry| {
                    let perm = entry.perm.map(|perm| format!(" {}", String::from_utf8(perm).unwrap()));
                    format!("{}{}", String::from_utf8(entry.name).unwrap(), perm.unwrap_or_default())
                })),
            }
        }
        Ok(names)
    }

    fn request(text: &str, format: ListFormat, options: ListOptions) -> ListRequest {
        ListRequest { path: path(text), pattern: None, written: text.into(), format, options, zone: TimeZone::UTC }
    }

    fn facts(text: &str) -> ListRequest {
        request(text, ListFormat::Facts(FactSet::ALL), ListOptions { all: true, ..ListOptions::default() })
    }

    #[tokio::test]
    async fn a_directory_to_drop_files_into() {
        let (dir, files) = place(Permissions::READ_ONLY, &[("/in", DROP), ("/private", Permissions::NONE)]);
        upload(&*files, "/in/new", Placement::Whole).await.unwrap();
        for placement in [Placement::Whole, Placement::End, Placement::At(1), Placement::Within { from: 0, to: 1 }] {
            assert_eq!(upload(&*files, "/in/there", placement).await, Err(StorageError::Exists));
        }
        assert!(upload(&*files, "/in/x", Placement::Unique).await.unwrap().as_bytes().starts_with(b"/in/x."));
        assert_eq!(upload(&*files, "/pub/x", Placement::Unique).await, Err(StorageError::Denied));
        assert_eq!(fs::read(dir.path().join("in/there")).unwrap(), b"text");
        files.enter(&path("/in")).await.unwrap();
        assert_eq!(files.open_read(&path("/in/there"), 0).await.err(), Some(StorageError::Denied));
        assert_eq!(files.size(&path("/in/there"), Representation::Image).await, Err(StorageError::Denied));
        assert_eq!(listed(&*files, facts("/in")).await, Err(StorageError::Denied));
        // Whether a name is there is not told either.
        for name in ["/in/there", "/in/nothing"] {
            assert_eq!(files.stat(&path(name)).await.err(), Some(StorageError::Denied));
            assert_eq!(files.rename(&path(name), &path("/pub/mine"), true).await, Err(StorageError::Denied));
            assert_eq!(files.remove_file(&path(name)).await, Err(StorageError::Denied));
            assert_eq!(files.set_mode(&path(name), 0o777).await, Err(StorageError::Denied));
        }
        assert_eq!(files.make_directory(&path("/in/d")).await, Err(StorageError::Denied));
        assert_eq!(files.remove_directory(&path("/in")).await, Err(StorageError::Denied));
        assert_eq!(files.set_modified(&path("/in"), Timestamp::UNIX_EPOCH).await, Err(StorageError::Denied));
        let mut names = listed(&*files, facts("/")).await.unwrap();
        names.sort();
        assert_eq!(names, [". el", ".. el", "in ce", "pub el"]);
        assert_eq!(files.stat(&path("/pub/file")).await.unwrap().perm, Some(b"r".to_vec()));
    }

    #[tokio::test]
    async fn what_may_not_be_known_of_is_in_no_listing() {
        let (_dir, files) = place(
            Permissions::ALL,
            &[("/private/deep", Permissions::READ_ONLY), ("/private", Permissions::NONE), ("*.key", Permissions::NONE)],
        );
        fs::write(_dir.path().join("pub/a.key"), "").unwrap();
        let recursive = ListOptions { recursive: true, ..ListOptions::default() };
        let names = listed(&*files, request("/", ListFormat::Names, recursive)).await.unwrap();
        assert_eq!(names, [":", "in", "private", "pub", "in:", "there", "private/deep:", "open", "pub:", "file"]);
        assert_eq!(listed(&*files, facts("/private")).await, Err(StorageError::Denied));
        let pattern = ListRequest { pattern: Some(b"*".to_vec()), ..request("/pub", ListFormat::Names, recursive) };
        assert_eq!(listed(&*files, pattern).await.unwrap(), [":", "file"]);
        let file = request("/pub/file", ListFormat::Names, ListOptions::default());
        assert_eq!(listed(&*files, file).await.unwrap(), ["file"]);
        files.enter(&path("/private")).await.unwrap();
        assert_eq!(files.enter(&path("/pub/a.key")).await, Err(StorageError::Denied));
        assert_eq!(upload(&*files, "/pub/b.key", Placement::Whole).await, Err(StorageError::Denied));
    }

    /// Each letter of `perm` for each of these, against what becomes of the thing that it promises.
    #[tokio::test]
    async fn the_fact_perm_tells_what_may_be_done() {
        let (_dir, files) = place(
            Permissions::ALL,
            &[
                ("/in", DROP.with(Permission::List).with(Permission::Rename)),
                ("/private/deep", Permissions::READ_ONLY),
                ("/pub", Permissions::ALL),
            ],
        );
        for (name, want) in [
            ("/in", "cefl"),
            ("/in/there", "f"),
            ("/private", "cdelmp"),
            ("/private/deep", "el"),
            ("/private/deep/open", "r"),
            ("/private/secret", "adfrw"),
            ("/pub", "cdeflmp"),
        ] {
            let perm = files.stat(&path(name)).await.unwrap().perm.unwrap();
            assert_eq!(String::from_utf8(perm).unwrap(), want, "{name}");
            // As a listing of its directory tells it.
            let (of, last) = (path(name).parent(), path(name).file_name().unwrap().to_vec());
            let told = listed(&*files, facts(&of.to_string())).await.unwrap();
            assert!(told.contains(&format!("{} {want}", String::from_utf8(last).unwrap())), "{name}: {told:?}");
            let may = |letter| want.contains(letter);
            let is_file = files.stat(&path(name)).await.unwrap().kind == EntryKind::File;
            if is_file {
                assert_eq!(files.open_read(&path(name), 0).await.is_ok(), may('r'), "{name}");
                assert_eq!(upload(&*files, name, Placement::Whole).await.is_ok(), may('w'), "{name}");
                assert_eq!(upload(&*files, name, Placement::End).await.is_ok(), may('a'), "{name}");
            } else {
                assert_eq!(files.enter(&path(name)).await.is_ok(), may('e'), "{name}");
                assert_eq!(listed(&*files, facts(name)).await.is_ok(), may('l'), "{name}");
                let within = |new: &str| path(name).join(new.as_bytes()).unwrap();
                assert_eq!(
                    upload(&*files, &within("x").to_string(), Placement::Whole).await.is_ok(),
                    may('c'),
                    "{name}"
                );
                assert_eq!(files.remove_file(&within("x")).await.is_ok(), may('c') && may('p'), "{name}");
                assert_eq!(files.make_directory(&within("y")).await.is_ok(), may('m'), "{name}");
                let _ = files.remove_directory(&within("y")).await;
            }
            // Whether another name takes it is a matter of that name too: no name does where it may not be renamed.
            if !may('f') {
                let to = path(name).parent().join(b"other").unwrap();
                assert_eq!(files.rename(&path(name), &to, false).await, Err(StorageError::Denied), "{name}");
            }
        }
    }

    #[tokio::test]
    async fn a_new_name_gives_nothing() {
        let blind = Permissions::NONE.with(Permission::Rename).with(Permission::Write).with(Permission::List);
        let (_dir, files) = place(Permissions::ALL, &[("/in", blind), ("/private/secret", Permissions::NONE)]);
        let rename = async |from: &str, to: &str| files.rename(&path(from), &path(to), true).await;
        // What may not be read must not come to where it may.
        assert_eq!(rename("/in/there", "/pub/there").await, Err(StorageError::Denied));
        assert_eq!(rename("/private", "/public").await, Err(StorageError::Denied));
        assert_eq!(rename("/in", "/out").await, Err(StorageError::Denied));
        assert_eq!(rename("/pub", "/private").await, Err(StorageError::Denied));
        // Nor be replaced where it may not be.
        assert_eq!(rename("/pub/file", "/in/there").await, Err(StorageError::Exists));
        assert_eq!(rename("/pub/file", "/private/secret").await, Err(StorageError::Denied));
        rename("/in/there", "/in/here").await.unwrap();
        rename("/pub/file", "/in/file").await.unwrap();
        rename("/private/deep", "/private/deeper").await.unwrap();
        rename("/private/deeper", "/pub/deep").await.unwrap();
    }
}
