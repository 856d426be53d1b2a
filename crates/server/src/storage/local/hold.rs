//! Files that are held: nobody else in this process writes, renames or removes them until they are let go of, or gone.

use std::sync::Arc;

use port21_proto::FtpPath;
use port21_proto::server::StorageError;
use rustix::fs::{Access, AtFlags, accessat, fstat};

use super::super::{Answer, Hold, Source};
use super::aside::{over_name, part_name, was_interrupted};
use super::facts::{Facts, unique};
use super::failure::Failure;
use super::tree::{LOOK, Lookup, Place, Tree};
use super::writers::Claim;
use super::{LocalSettings, blocking, open_read, regular_size, remove, settle};

/// A regular file, and the name by which it was asked for. It holds no descriptor: a client may name hundreds at once.
pub(super) struct LocalHold {
    tree: Arc<Tree>,
    settings: Arc<LocalSettings>,
    path: FtpPath,
    /// The directory that has the name.
    directory: Facts,
    /// What has the name: the file or a link to it.
    named: Facts,
    file: Facts,
    unique: Vec<u8>,
    claim: Claim,
}

/// Holds the file of this path, which must be one that can be removed.
pub(super) fn hold(tree: &Arc<Tree>, path: &FtpPath, settings: &Arc<LocalSettings>) -> Result<LocalHold, Failure> {
    let place = tree.parent(path)?;
    let opened = tree.open(path, LOOK, Lookup::Full)?;
    regular_size(&opened)?;
    let file = Facts::from(fstat(&opened)?);
    accessat(&place.dir, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?;
    let mut claim = Claim::new(None);
    let named = claim.place(&place)?.ok_or(StorageError::NotFound)?;
    claim.file(&file)?;
    // Where an upload broke off, what is there is not what the client may take it for: it would be put somewhere, and go.
    let behind = if named.is_file() { None } else { Some(tree.behind_links(path)?) };
    let (owner, parts_of) = (settings.owner.as_deref(), settings.parts_of());
    for Place { dir, name } in [Some(&place), behind.as_ref()].into_iter().flatten() {
        let part = parts_of.as_ref().map(|owner| part_name(owner, name));
        if was_interrupted(dir, &over_name(owner, name), part.as_deref()) {
            return Err(StorageError::NoResume.into());
        }
    }
    let directory = Facts::from(fstat(&place.dir)?);
    let (tree, settings, path) = (Arc::clone(tree), Arc::clone(settings), path.clone());
    Ok(LocalHold { tree, settings, path, directory, named, file, unique: unique(&file), claim })
}

impl Hold for LocalHold {
    fn unique(&self) -> &[u8] {
        &self.unique
    }

    fn size(&self) -> u64 {
        self.file.size
    }

    fn open(&self) -> Answer<'_, Source> {
        let (tree, path, held) = (Arc::clone(&self.tree), self.path.clone(), self.file);
        Box::pin(blocking(move || {
            let source = settle(open_read(&tree, &path, 0, Lookup::Full))?;
            match &source {
                Source::File { file, .. } if held.is_same_file(&settle(fstat(file))?.into()) => Ok(source),
                // A directory above has another name now.
                _ => Err(StorageError::Busy),
            }
        }))
    }

    fn remove(self: Box<Self>) -> Answer<'static, ()> {
        Box::pin(blocking(move || settle(self.remove_it())))
    }
}

impl LocalHold {
    fn remove_it(self) -> Result<(), Failure> {
        let place = self.tree.parent(&self.path)?;
        if !self.is_still_at(&place)? {
            return Err(StorageError::Busy.into());
        }
        remove::held(&place, &self.named, &self.settings)?;
        drop(self.claim);
        Ok(())
    }

    /// Whether the name still is of what was held, as it was: this process has seen to that, but there are others.
    fn is_still_at(&self, place: &Place) -> Result<bool, Failure> {
        let is_there = self.directory.is_same_file(&fstat(&place.dir)?.into())
            && place.look()?.is_some_and(|now| now.is_same_file(&self.named));
        let now = Facts::from(fstat(self.tree.open(&self.path, LOOK, Lookup::Full)?)?);
        let state = |facts: &Facts| (facts.size, facts.modified);
        Ok(is_there && now.is_same_file(&self.file) && state(&now) == state(&self.file))
    }
}
