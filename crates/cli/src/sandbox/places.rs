//! Which places of the file system the server needs, and for what.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Identity;
use crate::config::Config;
use crate::config::accounts::file::UserFile;

/// A file or directory with all that is in it, and what may be done there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
}

/// What may be done in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading files and listing directories.
    Read,
    /// Making files and writing to them: logs.
    Append,
    /// As that, and listing and removing them: recordings.
    Records,
    /// As that, and reading files and giving them other names: what is written aside first.
    State,
    /// Making sockets, and removing what stands in their way.
    Socket,
    /// Everything but executing, and making devices.
    Write,
}

impl Access {
    /// Whether it allows all that another one does.
    fn includes(self, other: Access) -> bool {
        self == other
            || self == Access::Write
            || matches!((self, other), (Access::State | Access::Records, Access::Append))
    }
}

/// What is served, and what the server keeps for itself. Links are followed now: where they lead later is not asked.
///
/// # Errors
/// Where a place is not there.
pub(super) fn needed(config: &Config) -> anyhow::Result<Vec<Grant>> {
    let mut grants: Vec<Grant> = Vec::new();
    for (path, access) in named(config) {
        let path = path.canonicalize().with_context(|| format!("cannot serve {}", path.display()))?;
        if !covers(&grants, &path, access) {
            grants.retain(|grant| !access.includes(grant.access) || !grant.path.starts_with(&path));
            grants.push(Grant { path, access });
        }
    }
    Ok(grants)
}

/// Makes the directories that are the server's own, where they are not there, and gives them to whom the server becomes.
/// One that is there belongs to whom it belongs.
///
/// # Errors
/// Where one cannot be made.
pub(super) fn make_own(config: &Config, owner: Option<&Identity>) -> anyhow::Result<()> {
    for (dir, _) in &own(config) {
        if dir.exists() {
            continue;
        }
        // They tell of files and users: they are for the operator.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.with_context(|| format!("cannot make {}", dir.display()))?;
        if let Some(owner) = owner {
            owner.own(dir)?;
        }
    }
    Ok(())
}

/// The directories that the server makes for itself.
fn own(config: &Config) -> Vec<(PathBuf, Access)> {
    let bans = config.logins.bans_file();
    // A log is written anew when it was renamed, the socket gets its name, and bans are written aside.
    let files = [
        (&config.control.socket, Access::Socket),
        (&config.log.file, Access::Append),
        (&config.log.xferlog, Access::Append),
        (&bans, Access::State),
    ];
    let of_files = files.into_iter().filter_map(|(file, access)| Some((directory_of(file.as_ref()?)?, access)));
    let recordings = config.record.directory.as_deref().map(|dir| (dir, Access::Records));
    recordings.into_iter().chain(of_files).map(|(dir, access)| (dir.to_owned(), access)).collect()
}

/// A name alone is one in the directory that the server is started in.
fn directory_of(file: &Path) -> Option<&Path> {
    file.parent().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
}

/// As the configuration names them: a further setting that names a place has a line here, or in [`served`].
fn named(config: &Config) -> Vec<(PathBuf, Access)> {
    // They were made before, but where it is only asked what would be.
    let own = own(config).into_iter().filter(|(dir, _)| dir.exists());
    config.sites().flat_map(|site| served(&site)).chain(own).collect()
}

/// The places of one site.
fn served(config: &Config) -> Vec<(PathBuf, Access)> {
    let may = |write| if write { Access::Write } else { Access::Read };
    let root = config.root();
    let mut named = Vec::new();
    let home = |home: &Option<String>| match home {
        Some(home) => root.join(home.trim_start_matches('/')),
        None => root.clone(),
    };
    if config.authenticator.is_some() {
        // It may answer with any home, and that it can be written to.
        named.push((root.clone(), Access::Write));
    }
    if config.accounts.is_kept() {
        // Its accounts change while the server runs: any of them may come to write.
        named.push((root.clone(), Access::Write));
        // Homes may be links that lead out of the root: those that do now may go on to. A file that is broken, or that the
        // server cannot read any more at a reload, is told of elsewhere.
        let file = config.accounts.file.as_deref().and_then(|file| UserFile::read(file).ok()).unwrap_or_default();
        let homes = file.users.iter().map(|entry| home(&entry.home)).filter(|home| home.exists());
        named.extend(homes.map(|home| (home, Access::Write)));
    }
    if config.anonymous.enabled {
        named.push((home(&config.anonymous.home), may(!config.anonymous.drop.is_empty())));
    }
    for user in &config.users {
        named.push((home(&user.home), may(user.write.unwrap_or(config.accounts.write))));
    }
    // The root itself, as left-overs of uploads are looked for in all of it.
    named.push((root.clone(), may(named.iter().any(|(_, access)| *access == Access::Write))));
    named
}

/// Whether a path lies in one of these places with this access.
pub(super) fn covers(grants: &[Grant], path: &Path, access: Access) -> bool {
    grants.iter().any(|grant| grant.access.includes(access) && path.starts_with(&grant.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_with_what_its_accounts_may() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["srv/alice", "srv/bob", "disk/carol"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("disk/carol"), root.join("srv/carol")).unwrap();
        let config = |more: &str| {
            let root = root.join("srv");
            let text = format!("site.root = {root:?}\nanonymous.enabled = true\n{more}");
            toml::from_str::<Config>(&text).unwrap()
        };
        let user = |name: &str, write| {
            format!("[[user]]\nname = \"{name}\"\npassword = \"x\"\nhome = \"/{name}\"\nwrite = {write}\n")
        };
        let grant = |name: &str, access| Grant { path: root.join(name), access };
        assert_eq!(needed(&config("")).unwrap(), [grant("srv", Access::Read)]);
        let users = user("alice", false) + &user("bob", false) + &user("carol", true);
        // Where the link leads, and not all that is around it; the left-overs of carol's uploads may be anywhere.
        let want = [grant("disk/carol", Access::Write), grant("srv", Access::Write)];
        let grants = needed(&config(&users)).unwrap();
        assert_eq!(grants, want);
        assert!(covers(&grants, &root.join("srv/new/home"), Access::Write));
        assert!(!covers(&grants, &root.join("srvother"), Access::Read));
        assert!(!covers(&grants, &root.join("disk"), Access::Read));
        assert!(needed(&config(&user("nobody", true))).is_err());
        // Accounts that nobody knows of yet; guests that drop files, and accounts that may change.
        let program = "[authenticator]\nprogram = [\"/bin/true\"]\n";
        assert_eq!(needed(&config(program)).unwrap(), [grant("srv", Access::Write)]);
        let drop = "anonymous.drop = [\"/in\"]\nanonymous.home = \"/bob\"\n";
        assert_eq!(needed(&config(drop)).unwrap(), [grant("srv", Access::Write)]);
        let kept = |file: &str| config(&format!("accounts.file = {:?}\n", root.join(file)));
        assert_eq!(needed(&kept("etc/users.toml")).unwrap(), [grant("srv", Access::Read)]);
        std::fs::create_dir(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/users.toml"), "").unwrap();
        assert_eq!(needed(&kept("etc/users.toml")).unwrap(), [grant("srv", Access::Write)]);
        std::fs::write(root.join("etc/users.toml"), "[[user]]\nname = \"dora\"\nhome = \"/carol\"\n").unwrap();
        let want = [grant("srv", Access::Write), grant("disk/carol", Access::Write)];
        assert_eq!(needed(&kept("etc/users.toml")).unwrap(), want);
        // What is the server's own, with no more than it takes.
        let logs = format!("[log]\nfile = {:?}\nxferlog = {:?}\n", root.join("var/log/a"), root.join("var/log/b"));
        let control = format!("[control]\nsocket = {:?}\n", root.join("var/log/socket"));
        let state = format!("[logins]\nkeep-bans = {:?}\n", root.join("var/log/bans"));
        std::fs::create_dir_all(root.join("var/log")).unwrap();
        let var = |access| grant("var/log", access);
        let own = |more: &str| needed(&config(more)).unwrap()[1..].to_vec();
        assert_eq!(own(&logs), [var(Access::Append)]);
        assert_eq!(own(&(control + &logs)), [var(Access::Socket), var(Access::Append)]);
        assert_eq!(own(&(logs + &state)), [var(Access::State)]);
        // Further sites, each by what its own people may.
        let host = |who: &str| config(&format!("[[host]]\nnames = [\"a\"]\nroot = {:?}\n{who}", root.join("disk")));
        let users = |file: &str| format!("accounts.file = {:?}\n", root.join(file));
        let want = |access| [grant("srv", Access::Read), grant("disk", access)];
        assert_eq!(needed(&host("anonymous.enabled = true\n")).unwrap(), want(Access::Read));
        std::fs::write(root.join("etc/host.toml"), "").unwrap();
        assert_eq!(needed(&host(&users("etc/host.toml"))).unwrap(), want(Access::Write));
    }
}
