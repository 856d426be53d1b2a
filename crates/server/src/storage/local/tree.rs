//! Confinement: how a path of an account becomes an open file beneath its root, and nowhere else.
//!
//! The root is held as an open directory. Every open starts there and is confined by the kernel (`openat2` with
//! `RESOLVE_IN_ROOT`): no path is ever checked first and opened afterwards, so there is nothing to win by swapping a
//! directory for a link in between. Operations on names (rename, remove, make) open the directory that holds the name
//! and then use the last part alone, which is never `.` or `..` ([`FtpPath`] has none).
//!
//! Links are followed as a chroot follows them: an absolute one starts at the root, `..` stops there. What a client sees
//! in a listing (`-> /pub`) is therefore what it gets, and a link that was meant to lead out leads to a name inside that
//! most likely is not there. Magic links of /proc, which are no text at all, are never followed.
//!
//! A link does not lead to the hidden file of an upload either (see `aside`): that no session can say its name would be worth
//! nothing if a link could. So the last part of a path is opened as what it is, and one that is a link is walked by hand,
//! to see the name at its end.

use std::path::Path;

use port21_proto::FtpPath;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::fs::{fstat, fstatfs, open, openat, openat2, readlinkat, statat};
use rustix::io::Errno;

use super::aside::leads_aside;
use super::facts::Facts;

/// An account's files, from its root down.
pub(super) struct Tree {
    root: OwnedFd,
    /// Its file system, and the file in it.
    identity: (u64, u64),
    /// Whether openat2 works here. It is missing before Linux 5.6, and some sandboxes refuse it.
    kernel: bool,
    /// Whether to try [`Lookup::Cached`] at all.
    quick: bool,
}

/// How far a look-up may go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Only to what the kernel has in its caches: it never waits for a disk, and says EAGAIN instead.
    Cached,
    /// To the disk.
    Full,
}

/// A name in an open directory.
pub(super) struct Place {
    /// The directory; for look-ups only (`O_PATH`).
    pub(super) dir: OwnedFd,
    /// The name: one part of a path, or `.` for the directory itself.
    pub(super) name: Vec<u8>,
}

impl Place {
    /// What has the name; a link is not followed.
    pub(super) fn look(&self) -> Result<Option<Facts>, Errno> {
        match statat(&self.dir, self.name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// Opens that are for looking only: no permission on the thing itself is needed, and no device wakes up.
pub(super) const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// For a directory to work in.
pub(super) const DIRECTORY: OFlags = LOOK.union(OFlags::DIRECTORY);
/// For what may turn out to be anything: a FIFO does not wait for its other end, a terminal does not become ours.
pub(super) const CAREFUL: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// How often openat2 is asked again when it says that something was renamed under its feet. Then [`Tree::walk`] answers,
/// which cannot be disturbed in that way.
const RETRIES: usize = 16;
/// The most links in one path, as Linux has it.
const LINKS: usize = 40;
/// The most directories that are opened for one path: `..` in links costs opens.
const STEPS: usize = 10_000;

impl Tree {
    /// The tree below a directory.
    pub(super) fn new(root: &Path) -> Result<Tree, Errno> {
        // The root's own path is the operator's and is followed as usual.
        let root = open(root, DIRECTORY, Mode::empty())?;
        let probe = |more| openat2(&root, ".", DIRECTORY, Mode::empty(), ResolveFlags::IN_ROOT | more);
        let kernel = probe(ResolveFlags::NO_MAGICLINKS).is_ok();
        let quick = kernel && probe(ResolveFlags::CACHED).is_ok() && is_local(&root);
        if !kernel {
            tracing::warn!("openat2 is not to be had here: paths are walked part by part, which is slower");
        }
        let facts = Facts::from(fstat(&root)?);
        Ok(Tree { root, identity: (facts.device, facts.inode), kernel, quick })
    }

    /// A tree that never asks openat2, to test the other way.
    #[cfg(test)]
    pub(super) fn walking(root: &Path) -> Tree {
        Tree { kernel: false, quick: false, ..Tree::new(root).unwrap() }
    }

    /// What tells the root from all other directories: its file system, and the file in it.
    pub(super) fn root(&self) -> (u64, u64) {
        self.identity
    }

    /// Whether [`Lookup::Cached`] is worth a try.
    pub(super) fn is_quick(&self) -> bool {
        self.quick
    }

    /// Opens what a path names; links in it and at its end are followed inside the root.
    pub(super) fn open(&self, path: &FtpPath, flags: OFlags, lookup: Lookup) -> Result<OwnedFd, Errno> {
        let relative = path.relative();
        // Hidden files are no directories.
        if !self.kernel || flags.contains(OFlags::DIRECTORY) || path.is_root() {
            return self.open_relative(relative, flags, lookup);
        }
        match self.open_relative(relative, flags | OFlags::NOFOLLOW, lookup) {
            // Only to look at, a link is opened itself.
            Ok(file) if flags.contains(OFlags::PATH) && is_link(&file)? => {}
            Err(Errno::LOOP) => {}
            answer => return answer,
        }
        if lookup == Lookup::Cached {
            return Err(Errno::AGAIN);
        }
        // On the way there the kernel is asked all the same: it knows links that are no text, and does not follow them.
        self.parent(path)?;
        self.open_walking(relative, flags)
    }

    /// As [`Tree::open`] of the path with `/.` behind it: a directory that may be searched, or an error.
    pub(super) fn open_inside(&self, path: &FtpPath, lookup: Lookup) -> Result<OwnedFd, Errno> {
        let dir = self.open(path, DIRECTORY, lookup)?;
        if lookup == Lookup::Full {
            return openat(&dir, ".", DIRECTORY, Mode::empty());
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::CACHED;
        openat2(&dir, ".", DIRECTORY, Mode::empty(), resolve)
    }

    /// The directory that holds a path, and the path's last part, which may be there or not and is not followed.
    ///
    /// # Errors
    /// EPERM for the root, which no directory holds.
    pub(super) fn parent(&self, path: &FtpPath) -> Result<Place, Errno> {
        let name = path.file_name().ok_or(Errno::PERM)?.to_vec();
        let relative = path.relative();
        let above = relative.strip_suffix(name.as_slice()).unwrap_or_default();
        let dir = self.open_relative(above.strip_suffix(b"/").unwrap_or_default(), DIRECTORY, Lookup::Full)?;
        Ok(Place { dir, name })
    }

    /// As [`Tree::parent`], but where the last part is a link: the place that it leads to, at last. The name was no link
    /// a moment ago; it is still not to be followed.
    ///
    /// # Errors
    /// ENOENT where that is an upload's hidden file.
    pub(super) fn behind_links(&self, path: &FtpPath) -> Result<Place, Errno> {
        self.walk(path.relative())
    }

    /// Opens a directory below one that is open, following no link. Its parts are `/`-separated names from a directory's
    /// entries.
    pub(super) fn open_below(&self, dir: &OwnedFd, relative: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if self.kernel {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            return openat2(dir, relative, flags, Mode::empty(), resolve);
        }
        let mut at: Option<OwnedFd> = None;
        for part in relative.split(|&b| b == b'/') {
            at = Some(openat(at.as_ref().unwrap_or(dir), part, flags, Mode::empty())?);
        }
        at.ok_or(Errno::NOENT)
    }

    fn open_relative(&self, relative: &[u8], flags: OFlags, lookup: Lookup) -> Result<OwnedFd, Errno> {
        if self.kernel {
            let path = if relative.is_empty() { b"." } else { relative };
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            if lookup == Lookup::Cached {
                return openat2(&self.root, path, flags, Mode::empty(), resolve | ResolveFlags::CACHED);
            }
            for _ in 0..RETRIES {
                match openat2(&self.root, path, flags, Mode::empty(), resolve) {
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    answer => return answer,
                }
            }
        }
        self.open_walking(relative, flags)
    }

    fn open_walking(&self, relative: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        for _ in 0..RETRIES {
            let Place { dir, name } = self.walk(relative)?;
            match openat(&dir, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
                // The name has become a link since.
                Err(Errno::LOOP | Errno::INTR) => {}
                Ok(file) if flags.contains(OFlags::PATH) && is_link(&file)? => {}
                answer => return answer,
            }
        }
        Err(Errno::LOOP)
    }

    /// Resolves a path part by part, without the kernel's help: each directory is opened in the one before it and no
    /// open follows a link; links are read and their text is walked in turn. The last part need not be there.
    ///
    /// `..` in a link's text goes back along the parts that were walked (opened anew from the root, so that only one
    /// directory is held at a time), never through a directory's own `..`, which a rename could have led elsewhere.
    fn walk(&self, relative: &[u8]) -> Result<Place, Errno> {
        let mut todo: Vec<Vec<u8>> = Vec::new();
        let mut done: Vec<Vec<u8>> = Vec::new();
        let (mut links, mut steps) = (0, 0);
        let mut dir = self.down(&[], &mut steps)?;
        push_parts(&mut todo, relative);
        while let Some(part) = todo.pop() {
            if part == b".." {
                done.pop();
                dir = self.down(&done, &mut steps)?;
                continue;
            }
            match readlinkat(&dir, part.as_slice(), Vec::new()) {
                Ok(text) => {
                    links += 1;
                    if links > LINKS {
                        return Err(Errno::LOOP);
                    }
                    if text.to_bytes().starts_with(b"/") {
                        done.clear();
                        dir = self.down(&[], &mut steps)?;
                    }
                    push_parts(&mut todo, text.to_bytes());
                    continue;
                }
                // EINVAL: it is no link.
                Err(Errno::INVAL) => {}
                Err(Errno::NOENT) if todo.is_empty() => {}
                Err(errno) => return Err(errno),
            }
            if todo.is_empty() {
                return if leads_aside(&part) { Err(Errno::NOENT) } else { Ok(Place { dir, name: part }) };
            }
            dir = step(&dir, &part, &mut steps)?;
            done.push(part);
        }
        Ok(Place { dir, name: b".".to_vec() })
    }

    /// Opens the directory of these parts, following no link.
    fn down(&self, parts: &[Vec<u8>], steps: &mut usize) -> Result<OwnedFd, Errno> {
        let root = step(&self.root, b".", steps)?;
        parts.iter().try_fold(root, |dir, part| step(&dir, part, steps))
    }
}

fn is_link(file: &OwnedFd) -> Result<bool, Errno> {
    Ok(Facts::from(fstat(file)?).kind() == FileType::Symlink)
}

fn step(dir: &OwnedFd, part: &[u8], steps: &mut usize) -> Result<OwnedFd, Errno> {
    *steps += 1;
    if *steps > STEPS {
        return Err(Errno::LOOP);
    }
    openat(dir, part, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// Puts the parts of a path on top of the stack, the first one uppermost.
fn push_parts(stack: &mut Vec<Vec<u8>>, path: &[u8]) {
    let parts = path.split(|&b| b == b'/').filter(|part| !matches!(*part, b"" | b"."));
    stack.extend(parts.rev().map(<[u8]>::to_vec));
}

/// The kernel's own name for an open file, which leads to that very file: what chmod and utimensat need for one that was
/// opened with `O_PATH`. Where /proc is not mounted there is no such name.
pub(super) fn own_name(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Whether the file system keeps its metadata on this machine, so that what is in the kernel's caches is an answer. One
/// on a network may have to ask its server even then.
fn is_local(dir: &OwnedFd) -> bool {
    const LOCAL: [u64; 9] = [
        0x0000_ef53, // ext2, ext3, ext4
        0x5846_5342, // XFS
        0x9123_683e, // Btrfs
        0x0102_1994, // tmpfs
        0x794c_7630, // overlayfs
        0x2fc1_2fc1, // ZFS
        0xf2f5_2010, // F2FS
        0xca45_1a4e, // bcachefs
        0x7371_7368, // SquashFS
    ];
    // The type's width and sign differ between machines; the numbers have 32 bits.
    fstatfs(dir).is_ok_and(|fs| LOCAL.contains(&(fs.f_type as u64 & 0xffff_ffff)))
}
