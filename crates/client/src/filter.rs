//! Which names of a tree are meant.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Which files of a tree are meant: those that no `exclude` pattern matches and, where there are any `include` patterns,
/// one of them does.
///
/// Patterns are those of a shell: `*` and `?` for what is between two `/`, `[a-z]`, `{a,b}`, and `**` for any number of
/// directories. One without a `/` in it is for the last part of a path, wherever that is; one with a `/` for the whole
/// path from the tree's root; one with a `/` at its end for directories alone. A directory that is excluded is, with
/// all that is in it; `include` is for files.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    include: Option<GlobSet>,
    exclude: GlobSet,
    exclude_directories: GlobSet,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl PatternError {
    pub(crate) fn new(error: &globset::Error) -> PatternError {
        PatternError(error.to_string())
    }
}

impl Filter {
    /// A filter of these patterns.
    ///
    /// # Errors
    /// [`PatternError`] names the one that is none, and why.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Filter, PatternError> {
        let (directories, all): (Vec<&String>, Vec<&String>) = exclude.iter().partition(|p| p.ends_with('/'));
        Ok(Filter {
            include: if include.is_empty() { None } else { Some(set(include.iter())?) },
            exclude: set(all.into_iter())?,
            exclude_directories: set(directories.into_iter())?,
        })
    }

    /// Whether a path below the tree's root is meant; for a directory, whether anything in it can be.
    pub fn is_meant(&self, relative: &[u8], is_directory: bool) -> bool {
        let path = OsStr::from_bytes(relative);
        if self.exclude.is_match(path) || is_directory && self.exclude_directories.is_match(path) {
            return false;
        }
        is_directory || self.include.as_ref().is_none_or(|include| include.is_match(path))
    }
}

fn set<'a>(patterns: impl Iterator<Item = &'a String>) -> Result<GlobSet, PatternError> {
    let mut set = GlobSetBuilder::new();
    let wrong = |error: globset::Error| PatternError::new(&error);
    for pattern in patterns {
        let plain = pattern.trim_end_matches('/');
        let anchored = match plain.strip_prefix('/') {
            Some(rest) => rest.to_owned(),
            None if plain.contains('/') => plain.to_owned(),
            None => format!("**/{plain}"),
        };
        set.add(GlobBuilder::new(&anchored).literal_separator(true).build().map_err(wrong)?);
    }
    set.build().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> Filter {
        let owned = |patterns: &[&str]| patterns.iter().map(|&p| p.to_owned()).collect::<Vec<_>>();
        Filter::new(&owned(include), &owned(exclude)).unwrap()
    }

    #[test]
    fn patterns_of_names_and_of_paths() {
        let f = filter(&[], &["*.o", "/top", "a/*/c", ".git/"]);
        for (path, directory, meant) in [
            ("x.c", false, true),
            ("deep/x.o", false, false),
            ("top", false, false),
            ("deep/top", false, true),
            ("a/b/c", false, false),
            ("a/b/d/c", false, true),
            ("sub/.git", true, false),
            (".git", false, true),
        ] {
            assert_eq!(f.is_meant(path.as_bytes(), directory), meant, "{path}");
        }
        let f = filter(&["*.{txt,md}"], &["secret*"]);
        assert!(f.is_meant(b"a/b.txt", false) && f.is_meant(b"a", true) && f.is_meant(b"\xff.md", false));
        assert!(!f.is_meant(b"a/b.c", false) && !f.is_meant(b"secret.txt", false));
        assert!(Filter::default().is_meant(b"anything", false));
        assert!(Filter::new(&["[".to_owned()], &[]).is_err());
    }
}
