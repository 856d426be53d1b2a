mod changes;
mod confinement;
mod listings;
mod model;
mod parts;
mod reading;
mod uploads;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::tz::TimeZone;
use port21_proto::listing::{EntryKind, FactSet, ListOptions};
use port21_proto::server::{ListFormat, Part, Placement, Told};
use tempfile::TempDir;

use super::*;
use crate::storage::{CommitMode, Piece, Sink};

/// A directory that holds a root and, outside it, a secret.
struct Place {
    dir: TempDir,
    fs: LocalFs,
}

impl Place {
    fn new() -> Place {
        Place::with(LocalSettings::default())
    }

    fn with(settings: LocalSettings) -> Place {
        Place::within(tempfile::tempdir().unwrap(), settings)
    }

    /// In memory, where the system has such a place: for trees that a disk takes long to make and to remove.
    fn in_memory() -> Place {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Place::within(dir, LocalSettings::default())
    }

    fn within(dir: TempDir, settings: LocalSettings) -> Place {
        fs::create_dir(dir.path().join("root")).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/secret"), "secret").unwrap();
        let fs = LocalFs::open(dir.path().join("root"), settings).unwrap();
        Place { dir, fs }
    }

    /// The same root, without openat2.
    fn walking(&self) -> LocalFs {
        LocalFs {
            root: self.root(),
            tree: Arc::new(Tree::walking(&self.root())),
            settings: Arc::clone(&self.fs.settings),
        }
    }

    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("root")
    }

    fn at(&self, name: impl AsRef<Path>) -> std::path::PathBuf {
        self.root().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    /// All names in the root, hidden ones too.
    fn names(&self) -> BTreeSet<String> {
        fs::read_dir(self.root()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn path(text: &str) -> FtpPath {
    FtpPath::new(text).unwrap()
}

/// What a session reads from a path.
async fn get(fs: &LocalFs, name: &str, from: u64) -> Result<String, StorageError> {
    match fs.open_read(&path(name), from).await? {
        Source::File { mut file, len } => {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text.len() as u64, len);
            Ok(text)
        }
        Source::Reader { .. } => unreachable!("local files are files"),
    }
}

struct Put<'a> {
    fs: &'a LocalFs,
    path: FtpPath,
    placement: Placement,
    overwrite: bool,
    announced: Option<u64>,
    commit: CommitMode,
    told: Option<Told>,
    representation: Representation,
    adds: bool,
}

impl Put<'_> {
    fn new<'a>(fs: &'a LocalFs, name: &str) -> Put<'a> {
        Put {
            fs,
            path: path(name),
            placement: Placement::Whole,
            overwrite: true,
            announced: None,
            commit: CommitMode::Atomic,
            told: None,
            representation: Representation::Image,
            adds: false,
        }
    }

    /// Begins the upload and writes its bytes.
    async fn write(&self, text: &str) -> Result<Box<dyn Upload>, StorageError> {
        let Put { placement, overwrite, announced, commit, told, representation, adds, .. } = *self;
        let request =
            UploadRequest { path: &self.path, placement, overwrite, announced, commit, told, representation, adds };
        let mut upload = self.fs.create(request).await?;
        match upload.sink() {
            Sink::File(file) => (&*file).write_all(text.as_bytes()).unwrap(),
            Sink::Writer(_) => unreachable!("local files are files"),
        }
        Ok(upload)
    }

    /// A whole upload.
    async fn all(&self, text: &str) -> Result<(), StorageError> {
        let mut upload = self.write(text).await?;
        upload.sync().await?;
        upload.commit().await
    }
}

fn listed(name: &str, format: ListFormat, options: ListOptions) -> ListRequest {
    ListRequest { path: path(name), pattern: None, written: name.into(), format, options, zone: TimeZone::UTC }
}

fn long(name: &str) -> ListRequest {
    listed(name, ListFormat::Long, ListOptions::default())
}

async fn pieces(fs: &LocalFs, request: &ListRequest) -> Result<Vec<Piece>, StorageError> {
    let mut listing = fs.list(request).await?;
    let mut pieces = Vec::new();
    while let Some(piece) = listing.next().await? {
        pieces.push(piece);
    }
    assert_eq!(listing.next().await, Ok(None));
    Ok(pieces)
}

async fn entries(fs: &LocalFs, request: &ListRequest) -> Vec<Entry> {
    let pieces = pieces(fs, request).await.unwrap();
    let entries = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Entries(entries) => Some(entries),
        Piece::Directory(_) => None,
    });
    entries.flatten().collect()
}

async fn names(fs: &LocalFs, request: &ListRequest) -> Vec<String> {
    entries(fs, request).await.into_iter().map(|e| String::from_utf8(e.name).unwrap()).collect()
}
