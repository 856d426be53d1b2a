//! Whole trees: how many bytes they have, and their removal. Each step is one question to the storage, so that what
//! confines a single name confines all of it.

use jiff::tz::TimeZone;
use port21_proto::FtpPath;
use port21_proto::listing::{Entry, EntryKind, ListOptions};
use port21_proto::server::{ListFormat, ListRequest, StorageError};

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
/// tree that is too large for that (see the limits of recursive listings), or in which something may not be removed, is
/// left as it is. `removed` is told of each file.
pub(super) async fn remove(
    storage: &dyn Storage,
    path: &FtpPath,
    removed: impl Fn(&FtpPath),
) -> Result<(), StorageError> {
    if path.is_root() {
        return Err(StorageError::Denied);
    }
    // A link to a directory would be listed as that directory.
    match itself(storage, path).await?.kind {
        EntryKind::Directory | EntryKind::CurrentDirectory | EntryKind::ParentDirectory => {}
        _ => return Err(StorageError::NotADirectory),
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
            return Err(StorageError::TooMany);
        }
    }
    if seen != directories.len() {
        // What cannot be looked into cannot be emptied either.
        return Err(StorageError::Denied);
    }
    for (at, name) in others {
        let directory = directories.get(at).ok_or(StorageError::NotFound)?;
        let file = join(directory, &name)?;
        storage.remove_file(&file).await?;
        removed(&file);
    }
    // The deepest first.
    directories.sort_by_key(|directory| std::cmp::Reverse(directory.parts().count()));
    for directory in &directories {
        storage.remove_directory(directory).await?;
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
