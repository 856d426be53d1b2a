//! Whole trees: how many bytes they have, and their removal. Each step is one question to the storage, so that what
//! confines a single name confines all of it.

use jiff::tz::TimeZone;
use port21_proto::FtpPath;
use port21_proto::listing::{Entry, EntryKind, ListOptions};
use port21_proto::server::{ListFormat, ListRequest, StorageError};

use crate::session::fault::Fault;
use crate::storage::{Piece, Storage};

/// The most bytes of names that are remembered of a tree that is to be removed.
const MAX_NAMES: usize = 32 << 20;

/// How many bytes the files in a directory and below it have. Links are not followed, and a file with two names counts
/// twice.
pub(super) async fn size(storage: &dyn Storage, path: &FtpPath) -> Result<u64, StorageError> {
    let mut listing = storage.list(&everything(path)).await?;
    if !listing.is_directory() {
        return Err(StorageError::NotADirectory);
    }
    let mut total = 0_u64;
    while let Some(piece) = listing.next().await? {
        if let Piece::Entries(entries) = piece {
            let files = entries.iter().filter(|entry| entry.kind == EntryKind::File);
            total = files.filter_map(|entry| entry.size).fold(total, u64::saturating_add);
        }
    }
    Ok(total)
}

/// Removes a directory and all that is in it. Links are removed themselves. All is looked at before anything is removed: a
/// tree that is too large for that (see the limits of recursive listings), or in which something may not be removed or is being
/// written, is left as it is. An upload that begins while it goes on ends it halfway: what is being written is not taken away.
/// `removed` is told of each file.
pub(super) async fn remove(storage: &dyn Storage, path: &FtpPath, removed: impl Fn(&FtpPath)) -> Result<(), Fault> {
    if path.is_root() {
        return Err(StorageError::Denied.into());
    }
    // A link to a directory would be listed as that directory.
    match itself(storage, path).await?.kind {
        EntryKind::Directory | EntryKind::CurrentDirectory | EntryKind::ParentDirectory => {}
        _ => return Err(StorageError::NotADirectory.into()),
    }
    let (mut directories, mut others) = (vec![path.clone()], Vec::new());
    let (mut at, mut seen, mut remembered) = (0, 1, 0);
    let mut listing = storage.list_to_remove(&everything(path)).await?;
    while let Some(piece) = listing.next().await? {
        match piece {
            Piece::Directory(below) if below.is_empty() => at = 0,
            Piece::Directory(below) => {
                remembered += path.as_bytes().len() + below.len();
                at = directories.len();
                directories.push(join(path, &below)?);
            }
            Piece::Entries(entries) => {
                for entry in entries {
                    if entry.kind == EntryKind::Directory {
                        seen += 1;
                        continue;
                    }
                    remembered += entry.name.len();
                    join(directories.get(at).unwrap_or(path), &entry.name)?;
                    others.push((at, entry.name));
                }
            }
        }
        if remembered > MAX_NAMES {
            return Err(StorageError::TooMany.into());
        }
    }
    if seen != directories.len() {
        // What cannot be looked into cannot be emptied either.
        return Err(StorageError::Denied.into());
    }
    for directory in &directories {
        storage.at_rest(directory).await.map_err(|error| Fault::at(directory, error))?;
    }
    for (at, name) in others {
        let directory = directories.get(at).ok_or(StorageError::NotFound)?;
        let file = join(directory, &name)?;
        storage.remove_file(&file).await.map_err(|error| Fault::at(&file, error))?;
        removed(&file);
    }
    // The deepest first.
    directories.sort_by_key(|directory| std::cmp::Reverse(directory.parts().count()));
    for directory in &directories {
        storage.remove_directory(directory).await.map_err(|error| Fault::at(directory, error))?;
    }
    Ok(())
}

/// What the name itself is: a link is not followed.
pub(super) async fn itself(storage: &dyn Storage, path: &FtpPath) -> Result<Entry, StorageError> {
    let options = ListOptions { directory: true, ..ListOptions::default() };
    let mut listing = storage.list(&ListRequest { options, ..everything(path) }).await?;
    match listing.next().await? {
        Some(Piece::Entries(entries)) => entries.into_iter().next().ok_or(StorageError::NotFound),
        _ => Err(StorageError::NotFound),
    }
}

fn everything(path: &FtpPath) -> ListRequest {
    let options = ListOptions { almost_all: true, recursive: true, ..ListOptions::default() };
    let (pattern, zone) = (None, TimeZone::UTC);
    ListRequest { path: path.clone(), pattern, written: Vec::new(), format: ListFormat::Long, options, zone }
}

/// A name that cannot be said in FTP (one with a line end in it) cannot be removed by it either.
fn join(directory: &FtpPath, name: &[u8]) -> Result<FtpPath, StorageError> {
    directory.join(name).map_err(|_| StorageError::BadName)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use port21_proto::server::{Placement, Representation};

    use super::*;
    use crate::storage::{CommitMode, LocalFs, LocalSettings, Upload, UploadRequest};

    fn files(root: &Path, owner: &str) -> LocalFs {
        let owner = Some(Arc::from(owner));
        LocalFs::open(root, LocalSettings { owner, displace_after: Duration::ZERO, ..LocalSettings::default() })
            .unwrap()
    }

    async fn begin(storage: &LocalFs, name: &str, placement: Placement) -> Box<dyn Upload> {
        let request = UploadRequest {
            path: &FtpPath::new(name).unwrap(),
            placement,
            overwrite: true,
            announced: None,
            commit: CommitMode::Atomic,
            told: None,
            representation: Representation::Image,
            adds: false,
        };
        storage.create(request).await.unwrap()
    }

    #[tokio::test]
    async fn nothing_of_a_tree_is_removed_while_anything_in_it_is_written() {
        for (name, placement, is_new) in [
            ("tree/b", Placement::Whole, false),
            ("tree/sub/new", Placement::Whole, true),
            // Under another name of it, which is not in the tree.
            ("twin", Placement::End, false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let at = |name: &str| dir.path().join(name);
            fs::create_dir_all(at("tree/sub")).unwrap();
            let all = ["tree/a", "tree/b", "tree/sub/c"];
            all.iter().for_each(|name| fs::write(at(name), "old").unwrap());
            fs::hard_link(at("tree/sub/c"), at("twin")).unwrap();
            let (ann, bob) = (files(dir.path(), "ann"), files(dir.path(), "bob"));
            let tree = FtpPath::new("tree").unwrap();
            let upload = begin(&ann, name, placement).await;
            let fault = remove(&bob, &tree, |_| panic!("nothing is removed")).await.unwrap_err();
            let expected = if name == "tree/b" { "/tree" } else { "/tree/sub" };
            assert_eq!((fault.at.unwrap().to_string().as_str(), fault.error), (expected, StorageError::Busy), "{name}");
            assert!(all.iter().all(|name| fs::read(at(name)).unwrap() == b"old"));
            upload.commit().await.unwrap();
            assert_eq!(at("tree/sub/new").exists(), is_new);
            remove(&bob, &tree, |_| ()).await.unwrap();
            assert!(!at("tree").exists() && at("twin").exists());
        }
    }

    #[tokio::test]
    async fn what_is_left_of_uploads_goes_with_the_tree_unless_somebody_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("tree/sub")).unwrap();
        fs::write(at("tree/a"), "old").unwrap();
        // A part, a mark; and one of another process, which has locked it.
        let left = [".port21-part-1", ".port21-over-2"].map(|name| at("tree/sub").join(name));
        left.iter().for_each(|path| fs::write(path, "").unwrap());
        let theirs = fs::File::open(&left[0]).unwrap();
        theirs.lock().unwrap();
        let (bob, tree) = (files(dir.path(), "bob"), FtpPath::new("tree").unwrap());
        let fault = remove(&bob, &tree, |_| panic!("nothing is removed")).await.unwrap_err();
        assert_eq!(fault.error, StorageError::Busy);
        assert!(at("tree/a").exists() && left.iter().all(|path| path.exists()));
        drop(theirs);
        remove(&bob, &tree, |_| ()).await.unwrap();
        assert!(!at("tree").exists());
    }

    /// As with DELE: whose network was cut is not kept from their own files by the connection that was lost.
    #[tokio::test]
    async fn a_stalled_upload_gives_way_to_its_accounts_removal_of_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tree")).unwrap();
        let ann = files(dir.path(), "ann");
        let upload = begin(&ann, "tree/new", Placement::Whole).await;
        let displaced = upload.displaced();
        let gives_way = async {
            displaced.await;
            drop(upload);
        };
        let tree = FtpPath::new("tree").unwrap();
        let ((), removed) = tokio::join!(gives_way, remove(&ann, &tree, |_| ()));
        removed.unwrap();
        assert!(!dir.path().join("tree").exists());
    }
}
