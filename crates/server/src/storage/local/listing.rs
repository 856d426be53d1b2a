//! Directories, in batches: read and looked at on the pool of blocking threads, one batch ahead of the sender.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use port21_proto::FtpPath;
use port21_proto::listing::{Entry, EntryKind, Fact, FactSet, ListOptions};
use port21_proto::path::MAX_PATH;
use port21_proto::server::{ListFormat, ListRequest, StorageError};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, OFlags, RawDir};
use rustix::fs::{fstat, readlinkat, statat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use tokio::task::JoinHandle;

use super::super::glob::Pattern;
use super::super::{Answer, Listing, Piece};
use super::LocalSettings;
use super::aside::is_aside;
use super::facts::{self, Facts, Rights};
use super::failure::Failure;
use super::settle;
use super::tree::{CAREFUL, LOOK, Lookup, Tree};

/// Entries in a batch: some 60 kB, and a third of a millisecond of work.
const BATCH: usize = 256;
/// Directories of a recursive listing that are opened for one batch, where they are small.
const DIRECTORIES: usize = 64;
/// The most bytes of names of directories that a recursive listing has still before it.
const PENDING: usize = 4 << 20;

/// Bytes of a directory that are read at a time: some 500 names.
const NAMES: usize = 32 << 10;

/// Opens a listing and reads its first batch, as long as `waited_for` is there.
pub(super) fn open(
    tree: Arc<Tree>,
    settings: &LocalSettings,
    request: ListRequest,
    waited_for: Weak<()>,
) -> Result<LocalListing, Failure> {
    let ListRequest { mut path, mut pattern, format, options, written: _, zone: _ } = request;
    // A name that looks like a pattern and is there is meant as a name: `LIST Photos [2020]`. But a file that is called `*`
    // must not keep all others from `mget *`.
    if let Some(text) = &pattern
        && !(text.contains(&b'*') && Pattern::new(text).matches(text))
        && let Ok(whole) = path.join(text)
        && single(&tree, &whole, &Detail::names()).is_ok()
    {
        path = whole;
        pattern = None;
    }
    let detail = Detail::new(format, options, settings, tree.root());
    if options.directory && pattern.is_none() {
        return Ok(LocalListing::of(single(&tree, &path, &detail)?));
    }
    let dir = match tree.open(&path, OFlags::RDONLY | OFlags::DIRECTORY | CAREFUL, Lookup::Full) {
        Ok(dir) => dir,
        // A file, or a link that leads nowhere, is listed itself; but not as facts (RFC 3659 section 7.2.1: MLSD is of
        // directories).
        Err(Errno::NOTDIR | Errno::NOENT | Errno::LOOP) if !detail.is_facts => {
            return Ok(LocalListing::of(single(&tree, &path, &detail)?));
        }
        Err(errno) => return Err(errno.into()),
    };
    let is_directory = pattern.is_none();
    let recursive = options.recursive && !detail.is_facts;
    let base = if recursive { Some(fcntl_dupfd_cloexec(&dir, 0)?) } else { None };
    let parent = tree.open(&path.parent(), LOOK, Lookup::Full).and_then(fstat).map(Facts::from).ok();
    let mut reader = Box::new(Reader {
        tree,
        detail,
        options,
        pattern: pattern.map(|text| Pattern::new(&text)),
        sorted: settings.sorted,
        left: if recursive { settings.recursive_entries } else { usize::MAX },
        depth: settings.recursive_depth,
        base,
        todo: Vec::new(),
        pending: 0,
        cut: false,
        level: None,
        waited_for,
    });
    let mut ready = VecDeque::new();
    if recursive {
        ready.push_back(Piece::Directory(Vec::new()));
    }
    reader.enter(dir, Vec::new(), parent)?;
    let Batch { pieces, rest } = reader.read()?;
    ready.extend(pieces);
    let rest = rest.map_or(Rest::End, Rest::Unread);
    Ok(LocalListing { is_directory, ready, rest, _wanted: None })
}

/// The listing of a directory, or of one entry.
pub(super) struct LocalListing {
    is_directory: bool,
    ready: VecDeque<Piece>,
    rest: Rest,
    /// What its reader looks for.
    _wanted: Option<Arc<()>>,
}

enum Rest {
    /// Nobody has asked yet.
    Unread(Box<Reader>),
    /// The next batch is being read.
    Reading(JoinHandle<Result<Batch, StorageError>>),
    End,
}

impl LocalListing {
    fn of(entry: Entry) -> LocalListing {
        let ready = VecDeque::from([Piece::Entries(vec![entry])]);
        LocalListing { is_directory: false, ready, rest: Rest::End, _wanted: None }
    }

    /// With what its reader looks for: it reads no further once the listing is dropped.
    pub(super) fn wanted_while(self, wanted: Arc<()>) -> LocalListing {
        LocalListing { _wanted: Some(wanted), ..self }
    }

    /// Begins to read the next batch, if none is being read.
    fn read_ahead(&mut self) {
        self.rest = match std::mem::replace(&mut self.rest, Rest::End) {
            Rest::Unread(reader) => Rest::Reading(tokio::task::spawn_blocking(move || settle(reader.read()))),
            rest => rest,
        };
    }
}

impl Listing for LocalListing {
    fn is_directory(&self) -> bool {
        self.is_directory
    }

    fn next(&mut self) -> Answer<'_, Option<Piece>> {
        Box::pin(async {
            loop {
                self.read_ahead();
                if let Some(piece) = self.ready.pop_front() {
                    return Ok(Some(piece));
                }
                let Rest::Reading(reading) = &mut self.rest else { return Ok(None) };
                let answer = reading.await.unwrap_or_else(|e| Err(StorageError::Io(e.to_string())));
                self.rest = Rest::End;
                let Batch { pieces, rest } = answer?;
                self.ready = pieces;
                self.rest = rest.map_or(Rest::End, Rest::Unread);
            }
        })
    }
}

/// What was read at one time, and the reader, if there is more.
struct Batch {
    pieces: VecDeque<Piece>,
    rest: Option<Box<Reader>>,
}

/// Reads directories. It lives on one blocking thread at a time.
struct Reader {
    tree: Arc<Tree>,
    detail: Detail,
    options: ListOptions,
    /// Which names, of the first directory.
    pattern: Option<Pattern>,
    /// The most names that are sorted.
    sorted: usize,
    /// How many entries may still be told.
    left: usize,
    /// How deep it may go.
    depth: usize,
    /// The first directory, where those below it are wanted too.
    base: Option<OwnedFd>,
    /// Directories that are still to be read, the next one last, by their paths from the first.
    todo: Vec<Vec<u8>>,
    /// The bytes in `todo`.
    pending: usize,
    /// Whether something had to be left out.
    cut: bool,
    level: Option<Level>,
    /// Gone once nobody waits for what is read: a directory can be so large, and a pattern match so little of it, that
    /// reading it takes long.
    waited_for: Weak<()>,
}

/// The directory that is being read.
struct Level {
    dir: OwnedFd,
    /// Names that were read from it, and not looked at yet.
    unseen: VecDeque<(Vec<u8>, FileType)>,
    /// Its path from the first.
    path: Vec<u8>,
    facts: Facts,
    /// What comes first: entries, then sorted names, then the rest as the directory has it.
    first: VecDeque<Entry>,
    names: std::vec::IntoIter<(Vec<u8>, FileType)>,
    /// Directories in it, in the order in which they were told.
    children: Vec<Vec<u8>>,
}

impl Level {
    /// How many entries are sure to be there, but for those that have gone meanwhile.
    fn expected(&self) -> usize {
        self.first.len() + self.names.len() + self.unseen.len()
    }
}

impl Reader {
    /// Reads until a batch is full, or there is no more.
    fn read(mut self: Box<Self>) -> Result<Batch, Failure> {
        let mut pieces = VecDeque::new();
        let (mut count, mut directories) = (0, 0);
        while let Some(mut level) = self.level.take() {
            let entries = self.entries(&mut level, BATCH - count)?;
            let full = entries.len() == BATCH - count;
            count += entries.len();
            if !entries.is_empty() {
                pieces.push_back(Piece::Entries(entries));
            }
            if full {
                self.level = Some(level);
                return Ok(Batch { pieces, rest: Some(self) });
            }
            self.plan(level);
            if let Some(path) = self.descend()? {
                pieces.push_back(Piece::Directory(path));
                directories += 1;
                if directories == DIRECTORIES {
                    return Ok(Batch { pieces, rest: Some(self) });
                }
            }
        }
        // What there was is told before that it was not all.
        match (self.cut, pieces.is_empty()) {
            (true, true) => Err(StorageError::TooMany.into()),
            (true, false) => Ok(Batch { pieces, rest: Some(self) }),
            (false, _) => Ok(Batch { pieces, rest: None }),
        }
    }

    /// Begins to read a directory. `parent` are the facts of the one above it, for `..`.
    fn enter(&mut self, dir: OwnedFd, path: Vec<u8>, parent: Option<Facts>) -> Result<(), Failure> {
        let facts = Facts::from(fstat(&dir)?);
        let mut level = Level {
            dir,
            unseen: VecDeque::new(),
            path,
            facts,
            first: VecDeque::new(),
            names: Vec::new().into_iter(),
            children: Vec::new(),
        };
        let (own, above) = match self.detail.is_facts {
            true => (EntryKind::CurrentDirectory, EntryKind::ParentDirectory),
            false => (EntryKind::Directory, EntryKind::Directory),
        };
        if self.pattern.is_none() && (self.options.all || self.detail.is_facts) {
            let parent = parent.unwrap_or(facts);
            for (name, facts, kind) in [(".", facts, own), ("..", parent, above)] {
                let entry = self.detail.entry(name.into(), &facts, &parent);
                level.first.push_back(Entry { kind, ..entry });
            }
        }
        let ordered = self.options.by_time || self.options.by_size;
        // Programs that read facts sort for themselves, and have the first entry sooner.
        if !self.detail.is_facts && self.sorted > 0 {
            if ordered {
                let mut entries = Vec::new();
                while entries.len() < self.sorted
                    && let Some((name, kind)) = self.name(&mut level)?
                {
                    entries.extend(self.look(&level, name, kind));
                }
                self.options.sort(&mut entries);
                level.first.extend(entries);
            } else {
                let mut names = Vec::new();
                while names.len() < self.sorted
                    && let Some(name) = self.name(&mut level)?
                {
                    names.push(name);
                }
                names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
                if self.options.reverse {
                    names.reverse();
                }
                level.names = names.into_iter();
            }
        }
        self.level = Some(level);
        Ok(())
    }

    /// The next entries of a directory, at most `most`; fewer only at its end.
    fn entries(&mut self, level: &mut Level, most: usize) -> Result<Vec<Entry>, Failure> {
        let mut entries = Vec::with_capacity(most.min(level.expected()));
        while entries.len() < most {
            let entry = if let Some(entry) = level.first.pop_front() {
                Some(entry)
            } else {
                let next = match level.names.next() {
                    None => self.name(level)?,
                    name => name,
                };
                let Some((name, kind)) = next else { break };
                self.look(level, name, kind)
            };
            let Some(entry) = entry else { continue };
            if self.left == 0 {
                self.cut = true;
                break;
            }
            self.left -= 1;
            if self.base.is_some()
                && entry.kind == EntryKind::Directory
                && !matches!(entry.name.as_slice(), b"." | b"..")
            {
                level.children.push(entry.name.clone());
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// The next name that the directory itself gives and that is to be shown.
    fn name(&self, level: &mut Level) -> Result<Option<(Vec<u8>, FileType)>, Failure> {
        loop {
            if let Some(name) = level.unseen.pop_front() {
                return Ok(Some(name));
            }
            if self.waited_for.strong_count() == 0 {
                return Err(StorageError::Cancelled.into());
            }
            if !self.read_names(level)? {
                return Ok(None);
            }
        }
    }

    /// Reads the names that the system gives at a time, and keeps those that are to be shown: whether it gave any.
    fn read_names(&self, level: &mut Level) -> Result<bool, Errno> {
        let mut buffer = Vec::with_capacity(NAMES);
        let mut names = RawDir::new(&level.dir, buffer.spare_capacity_mut());
        let mut any = false;
        while let Some(entry) = names.next() {
            let entry = match entry {
                Ok(entry) => entry,
                // It was removed meanwhile.
                Err(Errno::NOENT) => return Ok(any),
                Err(errno) => return Err(errno),
            };
            any = true;
            let name = entry.file_name().to_bytes();
            let shown = match &self.pattern {
                Some(pattern) if level.path.is_empty() => pattern.matches(name),
                _ => self.detail.is_facts || self.options.shows(name),
            };
            if shown && !matches!(name, b"." | b"..") && !is_aside(name) {
                level.unseen.push_back((name.to_vec(), entry.file_type()));
            }
            if names.is_buffer_empty() {
                break;
            }
        }
        Ok(any)
    }

    /// The entry of a name in a directory; nothing where it has gone meanwhile.
    fn look(&self, level: &Level, name: Vec<u8>, kind: FileType) -> Option<Entry> {
        if !self.detail.stat && kind != FileType::Unknown {
            return Some(Entry::new(facts::entry_kind(kind), name));
        }
        let dir = &level.dir;
        match statat(dir, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                let mut entry = self.detail.entry(name, &stat.into(), &level.facts);
                if entry.kind == EntryKind::Symlink && self.detail.stat {
                    entry.target =
                        readlinkat(dir, entry.name.as_slice(), Vec::new()).ok().map(|text| text.into_bytes());
                }
                Some(entry)
            }
            Err(Errno::NOENT) => None,
            // A directory that may be read but not searched: the names are all that is known.
            Err(_) => Some(Entry::new(facts::entry_kind(kind), name)),
        }
    }

    /// A directory was read to its end: those in it come next.
    fn plan(&mut self, level: Level) {
        let depth = level.path.iter().filter(|&&b| b == b'/').count() + usize::from(!level.path.is_empty());
        if !level.children.is_empty() && depth >= self.depth {
            self.cut = true;
            return;
        }
        for child in level.children.into_iter().rev() {
            let path = if level.path.is_empty() { child } else { [level.path.as_slice(), b"/", &child].concat() };
            // What no session could name (with a NUL behind it, for the system) is too deep in any case.
            if path.len() >= MAX_PATH || self.pending + path.len() > PENDING {
                self.cut = true;
            } else {
                self.pending += path.len();
                self.todo.push(path);
            }
        }
    }

    /// Begins to read the next directory below the first, and tells its path. Nothing where there is none.
    fn descend(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        while let (Some(base), Some(path)) = (&self.base, self.todo.pop()) {
            self.pending -= path.len();
            if self.left == 0 {
                self.cut = true;
                self.todo.clear();
                break;
            }
            let above = match path.iter().rposition(|&b| b == b'/') {
                Some(slash) => path.get(..slash).unwrap_or_default(),
                None => b".",
            };
            // Else it has gone, became a link, or may not be read: `ls` goes on as well.
            if let Ok(dir) = self.tree.open_below(base, &path) {
                let parent = self.tree.open_below(base, above).and_then(fstat).map(Facts::from).ok();
                self.enter(dir, path.clone(), parent)?;
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

/// What is to be told of each entry.
struct Detail {
    /// More than kind and name: each costs a system call.
    stat: bool,
    is_facts: bool,
    unique: bool,
    /// Who we are, where `perm` is wanted.
    rights: Option<Rights>,
    show_owners: bool,
}

impl Detail {
    fn names() -> Detail {
        Detail { stat: false, is_facts: false, unique: false, rights: None, show_owners: false }
    }

    fn new(format: ListFormat, options: ListOptions, settings: &LocalSettings, root: (u64, u64)) -> Detail {
        let ordered = options.by_time || options.by_size;
        let detail = Detail { show_owners: settings.show_owners, ..Detail::names() };
        match format {
            ListFormat::Long => Detail { stat: !options.one || ordered || options.classify, ..detail },
            ListFormat::Names => Detail { stat: options.long || ordered || options.classify, ..detail },
            ListFormat::Facts(facts) => Detail {
                // The kind alone is known from the name's entry.
                stat: facts.without(Fact::Type) != FactSet::NONE,
                is_facts: true,
                unique: facts.contains(Fact::Unique),
                rights: facts.contains(Fact::Perm).then(|| Rights::now(settings.permissions, root)),
                ..detail
            },
        }
    }

    fn entry(&self, name: Vec<u8>, facts: &Facts, parent: &Facts) -> Entry {
        let mut entry = facts::entry(name, facts, self.show_owners);
        entry.unique = self.unique.then(|| facts::unique(facts));
        entry.perm = self.rights.as_ref().map(|rights| rights.perm(facts, parent));
        entry
    }
}

/// The entry of a path itself, a link not followed.
fn single(tree: &Tree, path: &FtpPath, detail: &Detail) -> Result<Entry, Failure> {
    let Some(name) = path.file_name() else {
        let root = Facts::from(fstat(tree.open(path, LOOK, Lookup::Full)?)?);
        return Ok(detail.entry(b"/".to_vec(), &root, &root));
    };
    if is_aside(name) {
        return Err(StorageError::NotFound.into());
    }
    let place = tree.parent(path)?;
    let facts = Facts::from(statat(&place.dir, name, AtFlags::SYMLINK_NOFOLLOW)?);
    let mut entry = detail.entry(name.to_vec(), &facts, &Facts::from(fstat(&place.dir)?));
    if entry.kind == EntryKind::Symlink {
        entry.target = readlinkat(&place.dir, name, Vec::new()).ok().map(|text| text.into_bytes());
    }
    Ok(entry)
}
