//! Homes within homes: whose files others can reach, which an operator may not have meant.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use port21_proto::FtpPath;
use port21_proto::text::Shown;
use port21_proto::verb::Permissions;
use port21_server::storage::rules::Rules;

use super::account::{Common, Files};
use crate::config::Config;
use crate::config::accounts::file::UserFile;
use crate::config::home::below;

/// So many names are told; of further ones how many there are.
const MOST_NAMES: usize = 3;

/// A sentence for each directory that is the home of some who can reach the homes of others, or another site, in it. Files
/// of accounts are read by `read`; what cannot be read is told elsewhere.
pub(crate) fn overlaps(config: &Config, read: impl Fn(&Path) -> io::Result<String>) -> Vec<String> {
    overlaps_of(config, read, |_| true)
}

/// As [`overlaps`], of those alone in which this account of a file has a part.
pub(super) fn overlaps_with(config: &Config, file: &Path, name: &str) -> Vec<String> {
    let is_it = |place: &Place| place.account.as_ref().is_some_and(|(of, account)| of == file && account == name);
    overlaps_of(config, |file| std::fs::read_to_string(file), is_it)
}

fn overlaps_of(
    config: &Config,
    read: impl Fn(&Path) -> io::Result<String>,
    concerns: impl Fn(&Place) -> bool,
) -> Vec<String> {
    let all: Vec<Place> = config.sites().flat_map(|site| places(&site, &read)).collect();
    // By their paths: what is in a directory follows it.
    let mut by_path: BTreeMap<&Path, Vec<&Place>> = BTreeMap::new();
    all.iter().for_each(|place| by_path.entry(&place.path).or_default().push(place));
    let mut told = Vec::new();
    for (outer, theirs) in &by_path {
        let (mut who, mut whose, mut is_asked_for) = (Vec::new(), Vec::new(), false);
        let behind = by_path.range::<Path, _>((Bound::Excluded(*outer), Bound::Unbounded));
        for (path, places) in behind.take_while(|(path, _)| path.starts_with(outer)) {
            let mut reach = theirs.iter().filter(|place| place.reaches(path)).peekable();
            if reach.peek().is_some() {
                is_asked_for |= places.iter().any(|place| concerns(place));
                whose.extend(places.iter().map(|place| format!("{} ({})", place.whose, path.display())));
            }
            for place in reach {
                is_asked_for |= concerns(place);
                if !who.contains(&place.who.as_str()) {
                    who.push(&place.who);
                }
            }
        }
        if !who.is_empty() && is_asked_for {
            let told_of = format!("{} can reach {}", names(&who), names(&whose));
            told.push(Shown(told_of.as_bytes()).to_string());
        }
    }
    told
}

/// A directory that is somebody's.
struct Place {
    path: PathBuf,
    /// Who gets in there.
    who: String,
    /// What others would find there.
    whose: String,
    rules: Rules,
    /// The account of a file that it is the home of, and the file.
    account: Option<(PathBuf, String)>,
}

impl Place {
    /// Whether they may do anything with this path, which lies within.
    fn reaches(&self, path: &Path) -> bool {
        let within = path.strip_prefix(&self.path).ok();
        let within = within.and_then(|within| FtpPath::root().join(within.as_os_str().as_encoded_bytes()).ok());
        within.is_some_and(|within| self.rules.is_visible(&within))
    }
}

/// Those of a site.
fn places(site: &Config, read: &impl Fn(&Path) -> io::Result<String>) -> Vec<Place> {
    let root = site.root().canonicalize().unwrap_or_else(|_| site.root());
    let at = site.host().map(|host| format!(" of {host}")).unwrap_or_default();
    let nobody = || Rules::new(Permissions::NONE, Vec::new());
    let place = |who: String, home: Option<&str>, rules| {
        let path = below(&root, home).ok()?;
        // A home may be a link, as long as it leads to somewhere in the root.
        let path = path.canonicalize().unwrap_or(path);
        Some(Place { path, whose: format!("the home of {who}"), who, rules, account: None })
    };
    let mut all = Vec::new();
    if let Some(host) = site.host() {
        let whose = format!("the root of {host}");
        all.push(Place { path: root.clone(), who: String::new(), whose, rules: nobody(), account: None });
    }
    if site.anonymous.enabled {
        let guests = &site.anonymous;
        all.extend(place(format!("guests{at}"), guests.home.as_deref(), Files::of_guests(guests).rules));
    }
    let common = Common::new(site);
    for user in &site.users {
        let write = user.write.unwrap_or(site.accounts.write);
        let rules = Rules::new(if write { Permissions::ALL } else { Permissions::READ_ONLY }, Vec::new());
        all.extend(place(format!("{}{at}", user.name), user.home.as_deref(), rules));
    }
    let file = site.accounts.file.as_ref().and_then(|file| UserFile::read_by(file, read).ok());
    for entry in file.iter().flat_map(|file| &file.users) {
        let rules = if entry.disabled { nobody() } else { common.rules(entry) };
        let home = place(format!("{}{at}", entry.name), entry.home.as_deref(), rules);
        let account = site.accounts.file.clone().map(|file| (file, entry.name.clone()));
        all.extend(home.map(|home| Place { account, ..home }));
    }
    all
}

fn names<T: AsRef<str>>(all: &[T]) -> String {
    let first: Vec<&str> = all.iter().take(MOST_NAMES).map(AsRef::as_ref).collect();
    let more = match all.len() - first.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    first.join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(more: &str, users: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("pub")).unwrap();
        let root = dir.path().canonicalize().unwrap();
        let root = root.to_str().unwrap();
        let text = format!("site.root = \"ROOT\"\naccounts.file = \"/users\"\n{more}").replace("ROOT", root);
        let told = overlaps(&toml::from_str(&text).unwrap(), |_| Ok(users.to_owned()));
        told.iter().map(|told| told.replace(root, "ROOT")).collect()
    }

    const ANN_AND_BOB: &str = "[[user]]\nname = \"ann\"\nhome = \"ann\"\n[[user]]\nname = \"bob\"\nhome = \"/bob\"\n";

    #[test]
    fn guests_reach_what_lies_in_their_home() {
        let guests = "anonymous.enabled = true\n";
        let both = "guests can reach the home of ann (ROOT/ann), the home of bob (ROOT/bob)";
        assert_eq!(told(guests, ANN_AND_BOB), [both]);
        assert!(told("", ANN_AND_BOB).is_empty());
        assert!(told("anonymous = { enabled = true, home = \"/pub\" }\n", ANN_AND_BOB).is_empty());
        // A name that begins alike is another directory.
        let alike = "[[user]]\nname = \"carol\"\nhome = \"/public\"\n";
        assert!(told("anonymous = { enabled = true, home = \"/pub\" }\n", alike).is_empty());
        // To share all of it is no home within another.
        assert!(told(guests, "[[user]]\nname = \"eve\"\n").is_empty());
    }

    #[test]
    fn accounts_reach_what_their_rules_let_them() {
        let eve = |more: &str| format!("{ANN_AND_BOB}[[user]]\nname = \"eve\"\n{more}");
        let both = "eve can reach the home of ann (ROOT/ann), the home of bob (ROOT/bob)";
        assert_eq!(told("", &eve("")), [both]);
        assert!(told("", &eve("disabled = true\n")).is_empty());
        assert!(told("", &eve("permissions = []\n")).is_empty());
        let one = "[[user.paths]]\npath = \"/ann\"\npermissions = []\n";
        assert_eq!(told("", &eve(one)), ["eve can reach the home of bob (ROOT/bob)"]);
        let many: String = (0..5).map(|n| format!("[[user]]\nname = \"u{n}\"\nhome = \"/of/u{n}\"\n")).collect();
        let all = told("", &format!("{many}{}", eve("")));
        assert!(all.len() == 1 && all[0].ends_with(" and 4 more"), "{all:?}");
    }

    #[test]
    fn one_account_is_told_what_concerns_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("users.toml");
        std::fs::write(&file, format!("{ANN_AND_BOB}[[user]]\nname = \"carol\"\nhome = \"/ann/carol\"\n")).unwrap();
        let text = format!("site.root = {:?}\naccounts.file = {file:?}\n", dir.path());
        let config: Config = toml::from_str(&text).unwrap();
        let told = |name: &str| overlaps_with(&config, &file, name);
        assert!(
            told("ann").len() == 1 && told("ann")[0].starts_with("ann can reach the home of carol"),
            "{:?}",
            told("ann")
        );
        assert_eq!(told("carol"), told("ann"));
        assert!(told("bob").is_empty() && told("dora").is_empty());
        assert!(overlaps_with(&config, Path::new("/other"), "ann").is_empty());
    }

    #[test]
    fn sites_within_a_site_are_told() {
        let host = "[[user]]\nname = \"eve\"\npassword = \"x\"\n[[host]]\nnames = [\"a.example\"]\nroot = \"ROOT/a\"\n";
        assert_eq!(told(host, ""), ["eve can reach the root of a.example (ROOT/a)"]);
    }
}
