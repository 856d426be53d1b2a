//! What uploads have left aside where an earlier server was killed, and parts that nobody has come back for: removed at the
//! start and then daily.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use port21_server::storage::LocalFs;
use tokio::time::MissedTickBehavior;

use super::running::Running;
use crate::config::Config;
use crate::config::accounts::file::UserFile;
use crate::helper::Helper;

/// How often it is looked for them.
const COLLECT: Duration = Duration::from_secs(24 * 3600);

/// Collects at once and then daily, beside serving: it reads every directory. A run that takes longer than a day is not
/// overtaken by the next.
pub(super) async fn collect(running: Arc<Running>) {
    let mut daily = tokio::time::interval(COLLECT);
    daily.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        daily.tick().await;
        // As it is now: a reload may have changed it.
        let sites: Vec<Config> = running.config().sites().collect();
        for site in sites {
            let (of_site, helper) = (site.clone(), running.helper().clone());
            let trees = tokio::task::spawn_blocking(move || trees(&of_site, &helper)).await.unwrap_or_default();
            for tree in trees {
                let collected = match LocalFs::open(&tree, site.uploads.files(None)) {
                    Ok(files) => files.collect_stale().await.map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                let tree = tree.display();
                match collected {
                    Ok(0) => {}
                    Ok(count) => tracing::info!(count, %tree, "removed left-overs of uploads that were not finished"),
                    Err(error) => tracing::warn!(%error, %tree, "cannot look for left-overs of uploads"),
                }
            }
        }
    }
}

/// Where a site's accounts can have left something: its root, and the homes that lead out of that by a link, which is not
/// followed from the root. None that is within another.
fn trees(site: &Config, helper: &Helper) -> BTreeSet<PathBuf> {
    let root = site.root();
    // A file of accounts that is broken or out of reach is told of elsewhere.
    let file = site.accounts.file.as_deref().filter(|_| site.accounts.is_kept());
    let file =
        file.and_then(|file| UserFile::read_by(file, |path| helper.read_and_wait(path)).ok()).unwrap_or_default();
    let homes = file.users.iter().map(|user| &user.home).chain(site.users.iter().map(|user| &user.home));
    let homes = homes.chain([&site.anonymous.home]).flatten();
    let homes = homes.filter_map(|home| root.join(home.trim_start_matches('/')).canonicalize().ok());
    // In their order what holds another one comes right before it.
    let mut trees = BTreeSet::new();
    let all: BTreeSet<PathBuf> = homes.chain([root.canonicalize().unwrap_or_else(|_| root.clone())]).collect();
    let mut last: Option<PathBuf> = None;
    for tree in all {
        if last.as_ref().is_none_or(|last| !tree.starts_with(last)) {
            last = Some(tree.clone());
            trees.insert(tree);
        }
    }
    trees
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_that_are_elsewhere_are_looked_through_too_and_none_twice() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["srv/alice", "disk/bob/deep", "disk/carol"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        for (link, to) in [("srv/bob", "disk/bob"), ("srv/carol", "disk/carol"), ("srv/deep", "disk/bob/deep")] {
            std::os::unix::fs::symlink(root.join(to), root.join(link)).unwrap();
        }
        let users = root.join("users.toml");
        let text = "[[user]]\nname = \"alice\"\nhome = \"/alice\"\n[[user]]\nname = \"bob\"\nhome = \"bob\"\n\
                    [[user]]\nname = \"deep\"\nhome = \"deep\"\n[[user]]\nname = \"gone\"\nhome = \"gone\"\n";
        std::fs::write(&users, text).unwrap();
        let mut site = Config::default();
        site.site.root = Some(root.join("srv"));
        site.accounts.file = Some(users);
        site.anonymous.home = Some("carol".into());
        let want = ["disk/bob", "disk/carol", "srv"].map(|name| root.join(name));
        assert_eq!(trees(&site, &Helper::default()).into_iter().collect::<Vec<_>>(), want);
    }
}
