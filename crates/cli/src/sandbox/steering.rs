//! What steers the server has to be out of its own reach.
//!
//! Whoever takes the server over can do what the sandbox lets it do. Were they able to replace the configuration, the accounts, a
//! key or a hook's program, the helper would read or run theirs, outside of the sandbox, at the next occasion.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use port21_server::TlsMode;

use super::places::{Access, Grant};
use crate::config::Config;

/// So many symbolic links are followed, as the kernel does.
const MAX_LINKS: usize = 40;

/// The files that steer the server and lie where it can change them, or where its clients can read what is secret; each in
/// one sentence, with what to do.
pub(super) fn within_reach(config: &Config, grants: &[Grant]) -> Vec<String> {
    files(config).iter().filter_map(|file| file.fault(grants)).collect()
}

/// A file that steers the server.
struct Steering {
    /// What it is.
    what: &'static str,
    path: PathBuf,
    /// Whether nobody else may read it either.
    secret: bool,
}

/// All of them, there or not: what is not there yet could be made. A further setting that names such a file has a line here.
fn files(config: &Config) -> Vec<Steering> {
    let file = |what, secret| move |path: PathBuf| Steering { what, path, secret };
    let accounts = config.sites().filter_map(|site| site.accounts.file);
    let authenticators = config.sites().filter_map(|site| site.authenticator).map(|asked| asked.program);
    let hooks = config.hooks.iter().map(|hook| hook.program.clone());
    let mut all: Vec<Steering> = config.path.clone().into_iter().map(file("the configuration", true)).collect();
    all.extend(accounts.map(file("the file of accounts", true)));
    // A self-signed pair that is not there matters only where one would be made.
    let speaks_tls = config.listen.iter().any(|place| config.tls_at(place) != TlsMode::Off);
    let certificates = config.tls_files().into_iter().filter(|file| speaks_tls || file.exists());
    all.extend(certificates.map(file("a certificate or key", true)));
    all.extend(config.hooks.iter().filter_map(|hook| hook.ca.clone()).map(file("a hook's authorities", false)));
    all.extend(hooks.flat_map(|program| programs(&program)).map(file("a hook's program", false)));
    all.extend(authenticators.flat_map(|program| programs(&program)).map(file("the authenticator's program", false)));
    all
}

/// A program, and the scripts among its arguments.
fn programs(command: &[String]) -> Vec<PathBuf> {
    let scripts = command.iter().skip(1).map(Path::new).filter(|path| path.is_absolute() && path.is_file());
    command.first().map(Path::new).into_iter().chain(scripts).map(Path::to_owned).collect()
}

impl Steering {
    fn fault(&self, grants: &[Grant]) -> Option<String> {
        let Way { through, end } = way(&self.path);
        let changes = |grant: &&Grant| {
            grant.access != Access::Read && through.iter().any(|directory| directory.starts_with(&grant.path))
        };
        let (what, path) = (self.what, self.path.display());
        if let Some(grant) = grants.iter().find(changes) {
            let place = grant.path.display();
            let why = match grant.access {
                Access::Append => "it writes its logs in",
                Access::Records => "it keeps its recordings in",
                Access::Socket => "it makes its control socket in",
                Access::State => "it keeps its bans in",
                Access::Read | Access::Write => "its users may write below",
            };
            return Some(format!(
                "{what}, {path}, can be changed by whoever takes the server over, as {why} {place}: move one of the two, so \
                 that neither is in the other"
            ));
        }
        let reads = |grant: &&Grant| grant.access == Access::Read && end.starts_with(&grant.path);
        let grant = grants.iter().find(reads).filter(|_| self.secret && end.exists())?;
        let place = grant.path.display();
        Some(format!("{what}, {path}, can be read by clients, as {place} is served: move one of the two"))
    }
}

/// How the kernel comes to a file.
struct Way {
    /// Each directory that a part of the path is looked up in: who may write in one of them decides where it leads.
    through: Vec<PathBuf>,
    end: PathBuf,
}

fn way(path: &Path) -> Way {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut left: VecDeque<OsString> = parts(&absolute);
    let (mut through, mut at, mut links) = (Vec::new(), PathBuf::from("/"), 0);
    while let Some(part) = left.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        through.push(at.clone());
        match std::fs::read_link(at.join(&part)) {
            Ok(to) if links < MAX_LINKS => {
                links += 1;
                if to.is_absolute() {
                    at = PathBuf::from("/");
                }
                parts(&to).into_iter().rev().for_each(|part| left.push_front(part));
            }
            _ => at.push(part),
        }
    }
    Way { through, end: at }
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let named = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(named).map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::serve::Tls;

    #[test]
    fn what_can_be_changed_or_read_is_told_and_what_is_elsewhere_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["srv/in", "etc", "run", "log"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        for name in ["srv/in/users.toml", "etc/users.toml", "srv/script"] {
            std::fs::write(root.join(name), "").unwrap();
        }
        std::os::unix::fs::symlink(root.join("etc"), root.join("srv/in/etc")).unwrap();
        std::os::unix::fs::symlink("../srv/in/../../etc", root.join("run/etc")).unwrap();
        let at = |name: &str| root.join(name).display().to_string();
        let told = |text: String, grants: &[(&str, Access)]| {
            let mut config: Config = toml::from_str(&text).unwrap();
            config.tls.self_signed = Some(root.join("etc"));
            config.tls.mode = Tls::Offer;
            let grants: Vec<_> =
                grants.iter().map(|(name, access)| Grant { path: root.join(name), access: *access }).collect();
            within_reach(&config, &grants)
        };
        let accounts = |name: &str| format!("accounts.file = {:?}\n", root.join(name));
        let write = [("srv", Access::Write)];
        assert_eq!(told(accounts("etc/users.toml"), &write), Vec::<String>::new());
        assert_eq!(told(accounts("run/etc/users.toml"), &[("run", Access::Read)]), Vec::<String>::new());
        for name in ["srv/in/users.toml", "srv/none/yet.toml", "srv/in/etc/users.toml", "run/etc/users.toml"] {
            let told = told(accounts(name), &write);
            assert!(told.len() == 1 && told[0].contains(&at(name)) && told[0].contains(&at("srv")), "{name}: {told:?}");
        }
        for access in [Access::Append, Access::Socket, Access::State] {
            // The pair of certificate and key is there as well.
            assert_eq!(told(accounts("etc/users.toml"), &[("etc", access)]).len(), 3, "{access:?}");
        }
        let read = [("srv", Access::Read)];
        assert!(told(accounts("srv/in/users.toml"), &read)[0].contains("can be read by clients"));
        assert_eq!(told(accounts("srv/none/yet.toml"), &read), Vec::<String>::new());
        let hook = |program: &str| format!("[[hook]]\non = [\"login\"]\nprogram = [{program}]\n");
        let script = at("srv/script");
        assert_eq!(told(hook(&format!("{script:?}")), &write).len(), 1);
        assert_eq!(told(hook(&format!("\"/bin/sh\", {script:?}")), &write).len(), 1);
        assert_eq!(told(hook(&format!("{script:?}")), &read), Vec::<String>::new());
        // Where there is no file of that name it is what the program is told.
        assert_eq!(told(hook(&format!("\"/bin/sh\", {:?}", at("srv/none"))), &write), Vec::<String>::new());
    }
}
