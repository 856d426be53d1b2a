//! Homes: paths within the root that is served.

use std::path::{Component, Path, PathBuf};

use anyhow::bail;

use crate::exit::Fault;

/// Whether this can be a home.
///
/// # Errors
/// Where it leads out of the root, or holds what no name of a directory should.
pub(crate) fn check_home(home: Option<&str>) -> anyhow::Result<()> {
    below(Path::new(""), home).map(drop)
}

/// A `home`, which is a path within the root.
///
/// # Errors
/// Where it leads out of the root, or holds what no name of a directory should.
pub(crate) fn below(root: &Path, home: Option<&str>) -> anyhow::Result<PathBuf> {
    let mut path = root.to_owned();
    let home = home.unwrap_or_default();
    if home.contains(char::is_control) {
        bail!(Fault::usage(format!("{home:?} has control characters, which no home may have")));
    }
    let home = Path::new(home);
    for part in home.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::RootDir | Component::CurDir => {}
            _ => bail!(Fault::usage(format!("a home of {} leads out of the root", home.display()))),
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_stay_within_the_root() {
        let root = Path::new("/srv/ftp");
        assert_eq!(below(root, Some("/a/b")).unwrap(), Path::new("/srv/ftp/a/b"));
        assert_eq!(below(root, None).unwrap(), root);
        assert!(below(root, Some("../etc")).is_err() && check_home(Some("a/../../b")).is_err());
        assert!(check_home(Some("a\nb")).is_err() && check_home(Some("a\u{9b}2J")).is_err());
    }
}
