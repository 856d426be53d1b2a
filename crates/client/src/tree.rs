//! Names on the server: paths that are joined, and patterns for them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use globset::{GlobBuilder, GlobMatcher};
use port21_proto::client::Phase;
use port21_proto::listing::Entry;

use crate::client::Client;
use crate::errand::list;
use crate::error::Error;
use crate::filter::PatternError;

/// So many gaps of the listings of one pattern are told, or a few more.
const MAX_GAPS: usize = 1000;

/// A path with one more part behind it.
pub(crate) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    let between: &[u8] = if path.is_empty() || path.ends_with(b"/") { b"" } else { b"/" };
    [path, between, name].concat()
}

/// Whether a path holds what makes it a pattern: `*`, `?` or `[`.
pub fn is_pattern(path: &[u8]) -> bool {
    path.iter().any(|b| matches!(b, b'*' | b'?' | b'['))
}

/// A pattern for paths of a server, as a shell has them for those of files; see [`Client::matches`].
#[derive(Clone, Debug)]
pub struct Pattern {
    /// What is before the first part that is a pattern.
    base: Vec<u8>,
    parts: Vec<GlobMatcher>,
}

impl Pattern {
    /// Reads a pattern. `*` and `?` stand for no `/`; `\` takes its meaning from the character behind it.
    ///
    /// # Errors
    /// [`PatternError`] says why it is none.
    pub fn new(path: &str) -> Result<Pattern, PatternError> {
        let path = path.trim_end_matches('/');
        let first = path.find(['*', '?', '[']).unwrap_or(path.len());
        let at = path.get(..first).and_then(|head| head.rfind('/')).map_or(0, |slash| slash + 1);
        let (base, rest) = path.split_at(at);
        let part = |part: &str| {
            let glob = GlobBuilder::new(part).literal_separator(true).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| PatternError::new(&error))
        };
        let parts = rest.split('/').filter(|part| !part.is_empty()).map(part).collect::<Result<_, _>>()?;
        let base = if base.len() > 1 { base.trim_end_matches('/') } else { base };
        Ok(Pattern { base: base.as_bytes().to_vec(), parts })
    }
}

/// What a pattern stands for.
#[derive(Clone, Debug, Default)]
pub struct Matches {
    /// The paths that match, in the order of names, with their entries.
    pub found: Vec<(Vec<u8>, Entry)>,
    /// What says that not all may be there: directories, with lines of theirs that cannot be read, or what their server said
    /// behind them.
    pub gaps: Vec<(Vec<u8>, String)>,
    /// How many lines could not be read.
    pub unreadable: u64,
}

impl Client {
    /// The entries that a pattern stands for, with their paths: by listing the directories that it leads through, in the
    /// order of names. Only plain names of the listed directory count: no answer of a server leads elsewhere. As in a
    /// shell, a name that begins with a dot wants a pattern that does. Owners, rights and the lines that they were read from are left out of the entries.
    ///
    /// # Errors
    /// As [`Client::list`]; [`Error::TooMuch`] beyond [`Builder::max_entries`](crate::Builder::max_entries), for each directory and
    /// for all that matches.
    pub async fn matches(&mut self, pattern: &Pattern) -> Result<Matches, Error> {
        let mut matches = Matches::default();
        let most = self.settings().max_entries;
        let enough = |count: usize| match count > most {
            true => {
                let why = format!("more than {most} names match: see the limit max_entries");
                Err(Error::TooMuch { phase: Phase::Transfer, why })
            }
            false => Ok(()),
        };
        let mut directories = vec![pattern.base.clone()];
        let Some((last, above)) = pattern.parts.split_last() else { return Ok(matches) };
        for part in above {
            let mut below = Vec::new();
            for directory in &directories {
                let found = self.matching(directory, part, &mut matches).await?;
                below.extend(found.into_iter().filter(|(_, entry)| entry.is_directory()).map(|(path, _)| path));
                enough(below.len())?;
            }
            directories = below;
        }
        for directory in &directories {
            let found = self.matching(directory, last, &mut matches).await?;
            matches.found.extend(found);
            enough(matches.found.len())?;
        }
        Ok(matches)
    }

    async fn matching(
        &mut self,
        directory: &[u8],
        part: &GlobMatcher,
        matches: &mut Matches,
    ) -> Result<Vec<(Vec<u8>, Entry)>, Error> {
        let listing = list(self, directory, None).await?;
        matches.unreadable += listing.unreadable;
        if matches.gaps.len() < MAX_GAPS {
            matches.gaps.extend(listing.gaps.into_iter().map(|gap| (directory.to_vec(), gap)));
        }
        let is_match = |name: &[u8]| {
            let hidden = name.starts_with(b".") && !part.glob().glob().starts_with('.');
            !hidden && part.is_match(OsStr::from_bytes(name))
        };
        let entries = listing.entries.into_iter().filter(|entry| entry.safe_name().is_some_and(is_match));
        let mut found: Vec<_> = entries.map(|entry| (join(directory, &entry.name), entry)).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found.dedup_by(|a, b| a.0 == b.0);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_taken_apart() {
        for (text, base, parts) in
            [("*.txt", "", 1), ("/pub/*", "/pub", 1), ("a/b/*/c?/d", "a/b", 3), ("/*", "/", 1), ("*/", "", 1)]
        {
            let pattern = Pattern::new(text).unwrap();
            assert_eq!((pattern.base.as_slice(), pattern.parts.len()), (base.as_bytes(), parts), "{text}");
        }
        assert!(Pattern::new("[").is_err());
        assert!(Pattern::new("[*]x").unwrap().parts[0].is_match("*x"));
    }
}
