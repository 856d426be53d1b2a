//! What an FTP URL names (RFC 1738 section 3.2, RFC 3986).

use port21_proto::Secret;
use url::{Host, Url};

use crate::Representation;
use crate::credentials::Credentials;
use crate::tls::TlsMode;

/// What an FTP URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The server: a name or an address (IPv6 without brackets).
    pub host: String,
    /// The control port: where the URL has none 21, and 990 with `ftps`.
    pub port: u16,
    /// Whether the scheme asks for TLS: `ftps` for [`TlsMode::Implicit`], `ftpes` for [`TlsMode::Explicit`].
    pub tls: TlsMode,
    /// Who logs in, where the URL says so. The password is empty where it says none.
    pub credentials: Option<Credentials>,
    /// The path, percent-decoded, relative to the directory that a login leads to: `ftp://host/a/b` is `a/b` and
    /// `ftp://host/%2Fa/b` is `/a/b` (RFC 1738 section 3.2.2). Empty for that directory itself.
    pub path: Vec<u8>,
    /// The type that `;type=a` or `;type=i` asks for.
    pub representation: Option<Representation>,
    /// Whether `;type=d` asks for a listing, or the path ends with `/`.
    pub directory: bool,
}

/// Why a text is no URL that this client can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It is no URL at all.
    #[error("not a URL: {0}")]
    Syntax(String),
    /// Its scheme is none of FTP.
    #[error("not an ftp://, ftps:// or ftpes:// URL: {0}:")]
    Scheme(String),
    /// It names no host.
    #[error("the URL names no host")]
    Host,
    /// `;type=` with something else than a, i or d.
    #[error("{0:?} is no type: a, i or d")]
    Type(String),
    /// The user's name, the password or the host holds a character that has to be written otherwise there.
    #[error("{0:?} in front of the path: percent-encode it (# is %23, ? is %3F)")]
    Stray(char),
    /// The path, the user's name or the password holds a CR, LF or NUL: nothing of it may go on the wire.
    #[error("the URL holds a CR, LF or NUL")]
    Forbidden,
}

impl Target {
    /// Reads a URL: `ftp://[user[:password]@]host[:port]/path[;type=a|i|d]`.
    ///
    /// # Errors
    /// [`UrlError`]; it never shows the password.
    pub fn parse(text: &str) -> Result<Target, UrlError> {
        if text.contains(['\r', '\n', '\0']) {
            return Err(UrlError::Forbidden);
        }
        let (authority, path) = split(text)?;
        let url = Url::parse(authority).map_err(|error| UrlError::Syntax(error.to_string()))?;
        let (tls, port) = match url.scheme() {
            "ftp" => (TlsMode::Off, 21),
            "ftps" => (TlsMode::Implicit, 990),
            "ftpes" => (TlsMode::Explicit, 21),
            other => return Err(UrlError::Scheme(other.to_owned())),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            None => return Err(UrlError::Host),
        };
        let credentials = match url.username() {
            "" => None,
            user => Some(Credentials {
                user: String::from_utf8_lossy(&decode(user)?).into_owned(),
                password: Secret::new(decode(url.password().unwrap_or_default())?),
                account: None,
            }),
        };
        let (path, kind) = split_type(path);
        let (representation, listing) = match kind.map(str::to_ascii_lowercase).as_deref() {
            None => (None, false),
            Some("a") => (Some(Representation::Ascii), false),
            Some("i") => (Some(Representation::Image), false),
            Some("d") => (None, true),
            Some(other) => return Err(UrlError::Type(other.to_owned())),
        };
        let path = decode(path)?;
        let directory = listing || path.is_empty() || path.ends_with(b"/");
        Ok(Target { host, port: url.port().unwrap_or(port), tls, credentials, path, representation, directory })
    }
}

/// What is in front of the path, and the path, of which the `/` behind the host is no part.
///
/// The path names a file and is taken as it is written: in an FTP URL nothing of it is a query or a fragment (RFC 1738 section
/// 3.2), and what is read for the web, where `\` is `/`, tabs and blanks at the ends are nothing, and `..` is resolved, would name
/// another file than the one that was meant.
fn split(text: &str) -> Result<(&str, &str), UrlError> {
    let begin = text.find("://").map_or(0, |at| at + 3);
    let end = text.get(begin..).and_then(|rest| rest.find('/')).map_or(text.len(), |at| begin + at);
    let (authority, path) = text.split_at_checked(end).unwrap_or((text, ""));
    // A password with such a character in it would lead to another host.
    let stray = authority.chars().find(|c| matches!(c, '#' | '?' | '\\') || c.is_whitespace() || c.is_control());
    match stray {
        Some(stray) => Err(UrlError::Stray(stray)),
        None => Ok((authority, path.strip_prefix('/').unwrap_or_default())),
    }
}

/// `;type=` at the end of the path; other parameters are part of a name.
fn split_type(path: &str) -> (&str, Option<&str>) {
    match path.rsplit_once(';') {
        Some((head, tail)) if tail.get(..5).is_some_and(|t| t.eq_ignore_ascii_case("type=")) => (head, tail.get(5..)),
        _ => (path, None),
    }
}

/// Percent-decodes. What is no `%` and two hexadecimal digits stays as it is.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, UrlError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let digit = |at: usize| tail.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => out.push(first),
        }
    }
    if out.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) { Err(UrlError::Forbidden) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target::parse(url).unwrap()
    }

    #[test]
    fn hosts_and_ports() {
        assert_eq!((target("ftp://a.example").host.as_str(), target("ftp://a.example").port), ("a.example", 21));
        assert_eq!(target("ftp://a.example:2121/").port, 2121);
        assert_eq!(target("ftp://[::1]:2121/").host, "::1");
        assert_eq!(target("ftp://127.0.0.1/").host, "127.0.0.1");
    }

    #[test]
    fn users() {
        assert_eq!(target("ftp://a.example/").credentials, None);
        let credentials = target("ftp://me%40work:p%3Aw%20%25@a.example/").credentials.unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.expose()), ("me@work", &b"p:w %"[..]));
        assert!(target("ftp://me@a.example/").credentials.unwrap().password.expose().is_empty());
    }

    #[test]
    fn paths() {
        for (url, path, directory) in [
            ("ftp://h", "", true),
            ("ftp://h/", "", true),
            ("ftp://h/a/b", "a/b", false),
            ("ftp://h/a/b/", "a/b/", true),
            ("ftp://h/%2Fa/b", "/a/b", false),
            ("ftp://h//a/b", "/a/b", false),
            ("ftp://h/a%20b%3Fc", "a b?c", false),
            ("ftp://h/a;b", "a;b", false),
            ("ftp://h/a?b*", "a?b*", false),
            ("ftp://h/100%", "100%", false),
            ("ftp://h/a#b?c#d", "a#b?c#d", false),
            ("ftpes://h/a#b", "a#b", false),
            (r"ftp://h/a\b", r"a\b", false),
            (r"ftpes://h/a\b", r"a\b", false),
            ("ftp://h/a\tb ", "a\tb ", false),
            ("ftp://h/ a", " a", false),
            ("ftp://h/a/../b/./c", "a/../b/./c", false),
            ("ftp://h/a/%2e%2e/b", "a/../b", false),
            ("ftp://h/Grüße", "Grüße", false),
        ] {
            let target = target(url);
            assert_eq!((target.path.as_slice(), target.directory), (path.as_bytes(), directory), "{url}");
        }
        assert_eq!(target("ftp://h/%ff").path, b"\xff");
    }

    #[test]
    fn types() {
        assert_eq!(target("ftp://h/a;type=a").representation, Some(Representation::Ascii));
        assert_eq!(target("ftp://h/a;TYPE=I").representation, Some(Representation::Image));
        assert!(target("ftp://h/a;type=d").directory);
        assert_eq!(target("ftp://h/a;type=a").path, b"a");
        assert_eq!(Target::parse("ftp://h/a;type=x"), Err(UrlError::Type("x".into())));
    }

    #[test]
    fn refusals_show_no_password() {
        assert_eq!(Target::parse("http://me:hunter2@h/"), Err(UrlError::Scheme("http".into())));
        assert_eq!(Target::parse("ftp://h/a%0d%0aDELE%20b"), Err(UrlError::Forbidden));
        assert_eq!(Target::parse("ftp://me:a%0aB@h/"), Err(UrlError::Forbidden));
        for ends in ["\r\n", "\n", "\0", "\nDELE b"] {
            assert_eq!(Target::parse(&format!("ftp://h/a{ends}")), Err(UrlError::Forbidden));
        }
        for (stray, url) in [('#', "ftp://me#1@h/"), ('?', "ftp://h?a"), ('\\', r"ftp://h\a"), (' ', "ftp://me: @h/")] {
            assert_eq!(Target::parse(url), Err(UrlError::Stray(stray)));
        }
        for bad in ["", "h/a", "ftp://", "ftp://me:hunter2@:21/", "ftp://me:hunter2@h:99999/"] {
            let error = Target::parse(bad).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
