//! `users.toml`: read, locked, and written so that a crash leaves the old one or the new one.

use std::collections::HashSet;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::config::mistake::{Document, Mistake};
use crate::exit::{Exit, Fault};

/// What the file says of itself.
const HEAD: &str = "\
# Accounts of port21. `port21 user` writes this file anew as a whole: comments do not stay. It may be edited by hand; a
# running server takes changes up at once. It holds hashes of passwords: nobody but the server may read it.

";

/// All accounts, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UserFile {
    #[serde(rename = "user", skip_serializing_if = "Vec::is_empty")]
    pub(crate) users: Vec<Entry>,
}

impl UserFile {
    /// Reads a file. One that is not there has no accounts.
    ///
    /// # Errors
    /// All that is wrong, with file, line and key.
    pub(crate) fn read(path: &Path) -> anyhow::Result<UserFile> {
        UserFile::read_by(path, |path| std::fs::read_to_string(path))
    }

    /// As [`UserFile::read`], by somebody who may.
    ///
    /// # Errors
    /// As [`UserFile::read`].
    pub(crate) fn read_by(path: &Path, read: impl Fn(&Path) -> io::Result<String>) -> anyhow::Result<UserFile> {
        let text = match read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(UserFile::default()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let file = path.display().to_string();
        let wrong = |mistakes: Vec<Mistake>| {
            Fault::each(Exit::Usage, mistakes.iter().map(|mistake| mistake.in_file(&file)).collect())
        };
        Ok(UserFile::parse(&text).map_err(wrong)?)
    }

    fn parse(text: &str) -> Result<UserFile, Vec<Mistake>> {
        let document = Document::parse(text)?;
        let (file, mut mistakes) = document.settings::<UserFile>();
        let mut known = HashSet::new();
        for (at, entry) in file.iter().flat_map(|file| file.users.iter().enumerate()) {
            let twice = !known.insert(&entry.name);
            let twice = twice.then(|| ("name", format!("there are two of the name {}", entry.name)));
            if let Some((key, text)) = entry.mistake().or(twice) {
                mistakes.push(document.locate(Mistake::of_key(format!("user[{at}].{key}"), text)));
            }
        }
        match file {
            Some(file) if mistakes.is_empty() => Ok(file),
            _ => Err(mistakes),
        }
    }

    /// The account of a name.
    pub(crate) fn get_mut(&mut self, name: &str) -> anyhow::Result<&mut Entry> {
        let found = self.users.iter_mut().find(|entry| entry.name == name);
        Ok(found.ok_or_else(|| Fault::usage(format!("there is no account {name}")))?)
    }

    /// Reads the file, changes it, and writes it, with nobody else in between.
    ///
    /// # Errors
    /// Then the file is as it was.
    pub(crate) fn change<T>(path: &Path, change: impl FnOnce(&mut UserFile) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let path = &real(path)?;
        let _lock = Lock::wait(path)?;
        let mut file = UserFile::read(path)?;
        let done = change(&mut file)?;
        if let Some((key, text)) = file.users.iter().find_map(Entry::mistake) {
            bail!(Fault::usage(format!("`{key}`: {text}")));
        }
        file.write(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(done)
    }

    /// Aside, for nobody else to read, forced to the disk, then renamed. It belongs to whom the old one did, and the group may
    /// read it if it could; else to whom the directory does, so that a server which is not root can read what root has written.
    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = format!("{HEAD}{}", toml::to_string(self).context("an entry cannot be written")?);
        let dir = directory(path);
        let mut aside = tempfile::Builder::new().prefix(".users-").tempfile_in(&dir)?;
        aside.write_all(text.as_bytes())?;
        let owner = std::fs::metadata(path).or_else(|_| std::fs::metadata(&dir))?;
        let made = aside.as_file().metadata()?;
        // Only root can; for others it stays their own.
        let is_theirs = (made.uid(), made.gid()) == (owner.uid(), owner.gid())
            || chown(aside.path(), Some(owner.uid()), Some(owner.gid())).is_ok();
        if is_theirs && group_reads(&owner) {
            aside.as_file().set_permissions(Permissions::from_mode(0o640))?;
        }
        aside.as_file().sync_all()?;
        aside.persist(path).map_err(|error| error.error)?;
        File::open(&dir)?.sync_all()?;
        Ok(())
    }
}

/// Where a link leads: the file there is written anew. A link that became a file would leave that one as it was, wherever
/// it is kept or copied from.
fn real(path: &Path) -> anyhow::Result<PathBuf> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.is_symlink() => {
            path.canonicalize().with_context(|| format!("{} is a link that leads nowhere", path.display()))
        }
        _ => Ok(path.to_owned()),
    }
}

/// Whether the group may read the new file as well, by what was there before: the old one, or the directory, where that is
/// root's and nobody gets into it but a group of its own, as a service's (`/etc/port21`).
fn group_reads(before: &Metadata) -> bool {
    let mode = before.mode();
    match before.is_dir() {
        true => before.uid() == 0 && before.gid() != 0 && mode & 0o077 == 0o050,
        false => mode & 0o040 != 0,
    }
}

/// Keeps other commands out. Dropped, they go on.
struct Lock {
    /// Locked for as long as it is open.
    _file: File,
}

impl Lock {
    /// A file beside the other, which is never renamed or removed: all wait at the same one.
    fn wait(path: &Path) -> anyhow::Result<Lock> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        let lock = path.with_file_name(name);
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock);
        let file = open.with_context(|| format!("cannot write {}", lock.display()))?;
        flock(&file, FlockOperation::LockExclusive).with_context(|| format!("cannot lock {}", lock.display()))?;
        Ok(Lock { _file: file })
    }
}

fn directory(path: &Path) -> PathBuf {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.toml");
        let text = "[[user]]\nname = \"ann\"\nhome = \"/ann\"\npermissions = [\"list\", \"read\"]\nquota = \"10GiB\"\n\
                    rate-up = \"1500KiB\"\nnetworks = [\"10.0.0.0/8\"]\numask = \"027\"\nshared = true\n\
                    commit = \"atomic\"\nupload-eof = \"lenient\"\n[[user.paths]]\npath = \"/in/**\"\n\
                    permissions = [\"write\"]\n[[user]]\nname = \"bob\"\n";
        let file = UserFile::parse(text).unwrap();
        assert_eq!(UserFile::read(&path).unwrap(), UserFile::default());
        UserFile::change(&path, |new| {
            *new = file.clone();
            Ok(())
        })
        .unwrap();
        assert_eq!(UserFile::read(&path).unwrap(), file);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error: anyhow::Result<()> = UserFile::change(&path, |new| {
            new.users.clear();
            anyhow::bail!("no")
        });
        assert!(error.is_err());
        assert_eq!(UserFile::read(&path).unwrap(), file);
        let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_no_password() {
        for (text, told) in [
            ("[[user]]\nname = \"a\"\npassword = \"hunter2\"\n", "f:3: `user.password`: this is no hash"),
            ("[[user]]\nname = \"a\"\nquota = \"much\"\n", "f:3: `user.quota`: "),
            ("[[user]]\nname = \"a\"\nquotas = 1\n", "f:3: "),
            ("[[user]]\nname = \"a\"\n[[user]]\nname = \"a\"\n", "f:4: `user.name`: there are two"),
            ("[[user]]\nname = \"a\"\nhome = \"../b\"\n", "f:3: `user.home`: "),
            ("[[user]\n", "f:1: "),
        ] {
            let mistakes = UserFile::parse(text).unwrap_err();
            let first = mistakes[0].in_file("f");
            assert!(first.starts_with(told) && !first.contains("hunter2"), "{first}");
        }
    }

    #[test]
    fn it_stays_readable_for_whom_it_was_and_a_service_can_read_what_root_makes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.toml");
        let set = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let change = || {
            UserFile::change(&path, |_| Ok(())).unwrap();
            let file = std::fs::metadata(&path).unwrap();
            (file.mode() & 0o777, file.gid())
        };
        set(dir.path(), 0o750);
        let group = std::fs::metadata(dir.path()).unwrap().gid();
        assert_eq!(change(), (0o600, group));
        // What others could do is not kept.
        set(&path, 0o666);
        assert_eq!(change(), (0o640, group));
        set(&path, 0o600);
        assert_eq!(change().0, 0o600);
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can give a directory to another group");
            return;
        }
        for (mode, made) in [(0o750, 0o640), (0o755, 0o600), (0o770, 0o600)] {
            std::fs::remove_file(&path).unwrap();
            chown(dir.path(), None, Some(65534)).unwrap();
            set(dir.path(), mode);
            assert_eq!(change(), (made, 65534), "{mode:o}");
        }
    }

    #[test]
    fn a_link_stays_one_and_what_it_leads_to_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (link, real) = (dir.path().join("users.toml"), dir.path().join("kept/users.toml"));
        let add = || {
            UserFile::change(&link, |file| {
                file.users.push(Entry { name: "ann".to_owned(), ..Entry::default() });
                Ok(())
            })
        };
        std::os::unix::fs::symlink("kept/users.toml", &link).unwrap();
        assert!(add().unwrap_err().to_string().contains("leads nowhere"));
        std::fs::create_dir(dir.path().join("kept")).unwrap();
        std::fs::write(&real, "").unwrap();
        add().unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(UserFile::read(&real).unwrap().users.len(), 1);
    }

    #[test]
    fn commands_at_the_same_time_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.toml");
        std::thread::scope(|scope| {
            for n in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    UserFile::change(path, |file| {
                        file.users.push(Entry { name: format!("user{n}"), ..Entry::default() });
                        Ok(())
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(UserFile::read(&path).unwrap().users.len(), 8);
    }
}
