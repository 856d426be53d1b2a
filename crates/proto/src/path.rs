//! Paths as FTP has them: bytes, separated by `/`, and never able to break a line.

use std::fmt;

use crate::text::Shown;

/// The longest path that is taken, in bytes: Linux's own PATH_MAX.
pub const MAX_PATH: usize = 4096;

/// Why bytes cannot be a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Nothing was given.
    #[error("the name is empty")]
    Empty,
    /// CR, LF or NUL: it could end a command line, or a C string below us.
    #[error("the name holds a CR, LF or NUL")]
    Forbidden,
    /// Longer than [`MAX_PATH`].
    #[error("the name is longer than {MAX_PATH} bytes")]
    TooLong,
}

/// A path as a command's argument gives it (RFC 959 section 5.3.2): relative or absolute, not yet resolved,
/// not empty, at most [`MAX_PATH`] bytes, without CR, LF and NUL.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathArg(Box<[u8]>);

impl PathArg {
    /// Checks the bytes of an argument.
    ///
    /// # Errors
    /// [`PathError`] says which rule they break.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<PathArg, PathError> {
        let bytes = bytes.into();
        check(&bytes)?;
        if bytes.is_empty() {
            return Err(PathError::Empty);
        }
        Ok(PathArg(bytes.into_boxed_slice()))
    }

    /// The bytes as they go on the wire (before Telnet doubling of 0xFF).
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&FtpPath> for PathArg {
    fn from(path: &FtpPath) -> PathArg {
        PathArg(path.0.clone())
    }
}

impl fmt::Display for PathArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.0).fmt(f)
    }
}

impl fmt::Debug for PathArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathArg({:?})", Shown(&self.0))
    }
}

/// An absolute, normalised path: it starts with `/`, has no empty, `.` or `..` part and no `/` at its end
/// (but for the root itself), and CR, LF and NUL cannot exist in it.
///
/// `..` is resolved by the text alone and stops at the root: a name for a place under the account's root.
/// It is no proof that the place is there or that no symbolic link leads away: the storage opens it beneath its
/// root.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FtpPath(Box<[u8]>);

impl FtpPath {
    /// The root, `/`.
    pub fn root() -> FtpPath {
        FtpPath(Box::from(*b"/"))
    }

    /// An absolute path from bytes; a relative one is taken from the root.
    ///
    /// # Errors
    /// [`PathError`] where the bytes cannot be a path.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<FtpPath, PathError> {
        FtpPath::root().join(bytes.as_ref())
    }

    /// This path, as the working directory, with an argument applied to it.
    ///
    /// # Errors
    /// [`PathError::TooLong`] where the result is.
    pub fn resolve(&self, arg: &PathArg) -> Result<FtpPath, PathError> {
        self.join(arg.as_bytes())
    }

    /// As [`FtpPath::resolve`], for bytes that were not checked yet. Empty bytes give the path itself.
    ///
    /// # Errors
    /// [`PathError`] where the bytes cannot be a path.
    pub fn join(&self, bytes: &[u8]) -> Result<FtpPath, PathError> {
        check(bytes)?;
        let mut out = if bytes.first() == Some(&b'/') { Vec::new() } else { self.stem().to_vec() };
        for part in bytes.split(|&b| b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => out.truncate(out.iter().rposition(|&b| b == b'/').unwrap_or(0)),
                part => {
                    out.push(b'/');
                    out.extend_from_slice(part);
                }
            }
        }
        if out.len() > MAX_PATH {
            return Err(PathError::TooLong);
        }
        if out.is_empty() {
            out.push(b'/');
        }
        Ok(FtpPath(out.into_boxed_slice()))
    }

    /// The directory that holds this path; the root is its own parent.
    pub fn parent(&self) -> FtpPath {
        let stem = self.stem();
        let end = stem.iter().rposition(|&b| b == b'/').unwrap_or(0);
        match stem.get(..end) {
            None | Some([]) => FtpPath::root(),
            Some(parent) => FtpPath(Box::from(parent)),
        }
    }

    /// The last part, or nothing for the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.stem().rsplit(|&b| b == b'/').next().filter(|name| !name.is_empty())
    }

    /// The parts from the root down; none for the root.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|part| !part.is_empty())
    }

    /// Whether this path is `other` or lies below it.
    pub fn is_under(&self, other: &FtpPath) -> bool {
        match self.0.strip_prefix(other.stem()) {
            Some(rest) => rest.is_empty() || rest.first() == Some(&b'/'),
            None => false,
        }
    }

    /// Whether this is `/`.
    pub fn is_root(&self) -> bool {
        self.stem().is_empty()
    }

    /// The path with its leading `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path below the root, without the leading `/`: empty for the root. What an open relative to a directory
    /// wants.
    pub fn relative(&self) -> &[u8] {
        self.0.strip_prefix(b"/").unwrap_or_default()
    }

    /// The path in quotes as a 257 reply gives it: `"` doubled (RFC 959 appendix II).
    ///
    /// ```
    /// # use port21_proto::FtpPath;
    /// assert_eq!(FtpPath::new(r#"/a"b"#).unwrap().quoted(), br#""/a""b""#);
    /// ```
    pub fn quoted(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() + 2);
        out.push(b'"');
        for &b in &self.0 {
            if b == b'"' {
                out.push(b'"');
            }
            out.push(b);
        }
        out.push(b'"');
        out
    }

    /// Reads the quoted path at the start of a 257 reply's text, wherever the quote begins.
    /// Nothing where no quoted text is found.
    pub fn unquote(text: &[u8]) -> Option<Vec<u8>> {
        let open = text.iter().position(|&b| b == b'"')?;
        let mut rest = text.get(open + 1..)?.iter().copied().peekable();
        let mut out = Vec::new();
        while let Some(b) = rest.next() {
            if b != b'"' {
                out.push(b);
            } else if rest.peek() == Some(&b'"') {
                rest.next();
                out.push(b'"');
            } else {
                return Some(out);
            }
        }
        None
    }

    /// The path without the `/` that stands for the root: what a part can be put behind.
    fn stem(&self) -> &[u8] {
        match &*self.0 {
            b"/" => b"",
            path => path,
        }
    }
}

impl fmt::Display for FtpPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.0).fmt(f)
    }
}

impl fmt::Debug for FtpPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FtpPath({:?})", Shown(&self.0))
    }
}

fn check(bytes: &[u8]) -> Result<(), PathError> {
    if bytes.len() > MAX_PATH {
        return Err(PathError::TooLong);
    }
    if bytes.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        return Err(PathError::Forbidden);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(s: &str) -> FtpPath {
        FtpPath::new(s).unwrap()
    }

    #[test]
    fn resolves_by_the_text_and_stops_at_the_root() {
        let cwd = path("/a/b");
        for (arg, want) in [
            ("c", "/a/b/c"),
            ("/c", "/c"),
            ("..", "/a"),
            ("../..", "/"),
            ("../../../../etc/passwd", "/etc/passwd"),
            ("./c/./d//e/", "/a/b/c/d/e"),
            ("...", "/a/b/..."),
            ("c/..", "/a/b"),
            ("/", "/"),
        ] {
            assert_eq!(cwd.resolve(&PathArg::new(arg).unwrap()).unwrap(), path(want), "{arg}");
        }
    }

    #[test]
    fn refuses_what_could_break_a_line() {
        for bad in ["a\rb", "a\nb", "a\0b"] {
            assert_eq!(PathArg::new(bad), Err(PathError::Forbidden));
        }
        assert_eq!(PathArg::new(""), Err(PathError::Empty));
        assert_eq!(PathArg::new("x".repeat(MAX_PATH + 1)), Err(PathError::TooLong));
    }

    #[test]
    fn the_longest_path_is_one() {
        let half = "x".repeat(MAX_PATH / 2 - 1);
        let cwd = path(&half);
        assert!(PathArg::new("x".repeat(MAX_PATH)).is_ok());
        assert_eq!(cwd.join(half.as_bytes()).unwrap().as_bytes().len(), MAX_PATH);
        assert_eq!(cwd.join(format!("{half}y").as_bytes()), Err(PathError::TooLong));
        assert_eq!(cwd.join(format!("{half}/yy").as_bytes()), Err(PathError::TooLong), "far beyond");
    }

    #[test]
    fn knows_its_parts() {
        assert_eq!(path("/a/b").parent(), path("/a"));
        assert_eq!(path("/a").parent(), path("/"));
        assert_eq!(path("/").parent(), path("/"));
        assert_eq!(path("/a/b").file_name(), Some(&b"b"[..]));
        assert_eq!(path("/").file_name(), None);
        assert!(path("/a/b").is_under(&path("/a")) && path("/a").is_under(&path("/")));
        assert!(!path("/ab").is_under(&path("/a")));
        assert!(path("/").is_root() && !path("/a").is_root());
        assert_eq!((path("/a/b").relative(), path("/").relative()), (&b"a/b"[..], &b""[..]));
        assert_eq!(path("/a/b").parts().collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(path("/").parts().next(), None);
    }

    #[test]
    fn what_is_shown_steers_no_terminal() {
        let (arg, path) = (PathArg::new("a\x1b[2J").unwrap(), path("/a\x1b[2J"));
        for shown in [arg.to_string(), format!("{arg:?}"), path.to_string(), format!("{path:?}")] {
            assert!(shown.contains("a") && shown.contains("[2J") && !shown.contains('\x1b'), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn every_path_is_normal_and_under_the_root(base: Vec<u8>, arg: Vec<u8>) {
            let Ok(base) = FtpPath::new(&base) else { return Ok(()) };
            let Ok(p) = base.join(&arg) else { return Ok(()) };
            prop_assert_eq!(p.as_bytes()[0], b'/');
            prop_assert!(p.parts().all(|part| part != b"." && part != b".."));
            prop_assert!(!p.as_bytes().iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
            prop_assert_eq!(&FtpPath::new(p.as_bytes()).unwrap(), &p);
        }

        #[test]
        fn quoting_round_trips(bytes: Vec<u8>) {
            if let Ok(p) = FtpPath::new(&bytes) {
                let quoted = p.quoted();
                prop_assert_eq!(FtpPath::unquote(&quoted).unwrap(), p.as_bytes());
            }
        }
    }
}
