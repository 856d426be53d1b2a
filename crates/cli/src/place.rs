//! A place on a server, as a URL names it.

use port21_client::{Credentials, Target, TlsMode};
use port21_proto::text::Shown;

use crate::exit::Fault;

/// A place on a server, as the user named it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// What the URL says.
    pub(crate) target: Target,
    /// The path as a pattern, where the URL has `*`, `?` or `[` in it that are not written as `%2A` and so on.
    pub(crate) pattern: Option<String>,
    shown: String,
}

impl Place {
    /// Reads a URL. `host/path` is one too, with `ftp://` before it.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Place> {
        let url = if text.contains("://") { text.to_owned() } else { format!("ftp://{text}") };
        let wrong = |error| Fault::usage(format!("{error}: write it as ftp://user@host/path"));
        let target = Target::parse(&url).map_err(wrong)?;
        let shown = show(&target);
        Ok(Place { target, pattern: pattern(&url), shown })
    }

    /// The path without a `/` at its end; the login's own directory is empty.
    pub(crate) fn path(&self) -> &[u8] {
        match self.target.path.as_slice() {
            b"/" => b"/",
            path => path.strip_suffix(b"/").unwrap_or(path),
        }
    }

    /// The last part of the path, where it can be the name of a local file.
    pub(crate) fn file_name(&self) -> Option<&[u8]> {
        let name = self.path().rsplit(|&b| b == b'/').next()?;
        (!matches!(name, b"" | b"." | b"..") && !name.contains(&0)).then_some(name)
    }

    /// The path with one more part behind it.
    pub(crate) fn join(&self, name: &[u8]) -> Vec<u8> {
        join(self.path(), name)
    }

    /// The URL of another path of the same server, to be shown.
    pub(crate) fn url_of(&self, path: &[u8]) -> String {
        show(&Target { path: path.to_vec(), ..self.target.clone() })
    }

    /// The URL of a path that is encoded already, for this user.
    pub(crate) fn url_for(&self, user: Option<&str>, path: &str) -> String {
        let credentials = user.map(|user| Credentials::new(user, ""));
        show(&Target { credentials, path: path.as_bytes().to_vec(), ..self.target.clone() })
    }

    /// Whether one session serves both.
    pub(crate) fn is_same_session(&self, other: &Place) -> bool {
        let (a, b) = (&self.target, &other.target);
        (a.tls, &a.host, a.port, &a.credentials) == (b.tls, &b.host, b.port, &b.credentials)
    }
}

impl std::fmt::Display for Place {
    /// The URL without its password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

fn show(target: &Target) -> String {
    let (scheme, port) = match target.tls {
        TlsMode::Off => ("ftp", 21),
        TlsMode::Explicit => ("ftpes", 21),
        TlsMode::Implicit => ("ftps", 990),
    };
    let mut out = format!("{scheme}://");
    if let Some(credentials) = &target.credentials {
        out += &format!("{}@", Shown(credentials.user.as_bytes()));
    }
    out += &if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
    if target.port != port {
        out += &format!(":{}", target.port);
    }
    // Without its code the first `/` of a path would be the one behind the host.
    match target.path.strip_prefix(b"/") {
        Some(path) => format!("{out}/%2F{}", Shown(path)),
        None => format!("{out}/{}", Shown(&target.path)),
    }
}

/// The path of a URL as a pattern, where it is one: what is percent-encoded stands for itself.
fn pattern(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (_, path) = rest.split_once('/')?;
    if !path.contains(['*', '?', '[']) {
        return None;
    }
    let mut out = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let digit = |at: usize| tail.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                let byte = u8::try_from(high * 16 + low).ok()?;
                match byte {
                    b'*' | b'?' | b'[' | b']' | b'{' | b'}' => out.extend([b'[', byte, b']']),
                    byte => out.push(byte),
                }
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'{', ..) => out.extend(b"[{]"),
            (b'}', ..) => out.extend(b"[}]"),
            (b'\\', ..) => out.extend(br"\\"),
            _ => out.push(*first),
        }
    }
    String::from_utf8(out).ok()
}

/// A path with one more part behind it.
pub(crate) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    let between: &[u8] = if path.is_empty() || path.ends_with(b"/") { b"" } else { b"/" };
    [path, between, name].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_places() {
        let place = Place::parse("ftp://bob:hunter2@h.example:2121/a%20b/").unwrap();
        assert_eq!((place.path(), place.file_name()), (&b"a b"[..], Some(&b"a b"[..])));
        assert_eq!(place.join(b"c"), b"a b/c");
        assert!(!place.to_string().contains("hunter2"));
        assert_eq!(Place::parse("h").unwrap().file_name(), None);
        assert_eq!(Place::parse("h/%2F").unwrap().path(), b"/");
        assert_eq!(Place::parse("h/%2Fetc/..").unwrap().file_name(), None);
        let place = Place::parse("h/%2Fetc").unwrap();
        assert_eq!((place.to_string(), place.url_of(b"/etc/x")), ("ftp://h/%2Fetc".into(), "ftp://h/%2Fetc/x".into()));
        assert!(Place::parse("http://h/").is_err());
        for url in ["ftps://h/a", "ftpes://u@h:2121/", "ftps://h:21/"] {
            assert_eq!(Place::parse(url).unwrap().to_string(), url);
        }
    }

    #[test]
    fn patterns_in_urls() {
        let pattern = |url: &str| Place::parse(url).unwrap().pattern;
        assert_eq!(pattern("h/a/*.t%2At").unwrap(), "a/*.t[*]t");
        assert_eq!(pattern("ftp://h/%2Fpub/f?.{x}").unwrap(), "/pub/f?.[{]x[}]");
        assert_eq!(pattern("ftp://h/a%2A"), None);
        assert_eq!(Place::parse("ftp://h/what?.txt").unwrap().path(), b"what?.txt");
    }

    #[test]
    fn sessions_are_shared_by_places_of_one_login() {
        let place = |url| Place::parse(url).unwrap();
        assert!(place("ftp://h/a").is_same_session(&place("ftp://h/b")));
        assert!(!place("ftp://h/a").is_same_session(&place("ftp://u@h/a")));
        assert!(!place("ftp://h/a").is_same_session(&place("ftp://h:2121/a")));
        assert!(!place("ftps://h:21/a").is_same_session(&place("ftp://h/a")));
    }
}
